"""Backbones of torchvision that give features of stride 8, 16 and 32."""

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import ResNet, SwinTransformer

from mutdet.settings.errors import UserError

Extent = Literal["nothing", "upper", "all"]


class Backbone(nn.Module):
    """Feature extractor whose parts can be frozen; parameter names are torchvision's.

    Batch normalisation always uses its stored statistics.

    Attributes:
        channels: of the three feature maps.
        lower: names of the child modules (stem and first stage) that "upper" leaves frozen.
    """

    channels: tuple[int, int, int]
    lower: tuple[str, ...]

    def __init__(self) -> None:
        super().__init__()
        self.extent: Extent = "all"

    def set_extent(self, extent: Extent) -> None:
        """Choose what trains: "nothing"; "upper", all but stem, first stage and batch normalisation; or "all"."""
        self.extent = extent
        for name, parameter in self.named_parameters():
            below = any(name.startswith(f"{part}.") for part in self.lower)
            parameter.requires_grad_(extent == "all" or (extent == "upper" and not below))
        if extent == "upper":
            for layer in _batch_norms(self):
                layer.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> "Backbone":
        """Training mode without batch statistics, and without stochastic depth where nothing trains."""
        super().train(mode and self.extent != "nothing")
        for layer in _batch_norms(self):
            layer.eval()
        return self


class ResNetBackbone(Backbone):
    """ResNet without its classifier."""

    lower = ("conv1", "bn1", "layer1")

    def __init__(self, resnet: ResNet) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu, self.maxpool = resnet.conv1, resnet.bn1, resnet.relu, resnet.maxpool
        self.layer1, self.layer2, self.layer3, self.layer4 = resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4
        last = resnet.fc.in_features
        self.channels = (last // 4, last // 2, last)

    def forward(self, images: Tensor) -> list[Tensor]:
        """[B, 3, H, W] to maps of stride 8, 16 and 32."""
        x = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(images)))))
        features = []
        for stage in (self.layer2, self.layer3, self.layer4):
            x = stage(x)
            features.append(x)
        return features


class SwinBackbone(Backbone):
    """Swin transformer without its classifier, with a normalisation of its own for each output."""

    lower = ("features.0", "features.1")

    def __init__(self, swin: SwinTransformer) -> None:
        super().__init__()
        self.features = swin.features
        last = swin.head.in_features
        self.channels = (last // 4, last // 2, last)
        self.output_norms = nn.ModuleList(nn.LayerNorm(count) for count in self.channels)

    def forward(self, images: Tensor) -> list[Tensor]:
        """[B, 3, H, W] to maps of stride 8, 16 and 32."""
        x = images
        outputs: list[Tensor] = []
        for index, stage in enumerate(self.features):
            x = stage(x)
            if index in (3, 5, 7):
                outputs.append(self.output_norms[len(outputs)](x).permute(0, 3, 1, 2).contiguous())
        return outputs


def build_backbone(name: str) -> Backbone:
    """Untrained backbone by torchvision's name of it: resnet18, resnet50, resnet101 or swin_t."""
    model = torchvision.models.get_model(name, weights=None)
    return SwinBackbone(model) if isinstance(model, SwinTransformer) else ResNetBackbone(model)


def load_backbone(backbone: Backbone, state: Mapping[str, Tensor], file: object = None) -> None:
    """Take weights by torchvision's names; its classifier is left out, Swin's last norm serves the last output.

    Raises:
        UserError: a tensor is missing or has another shape, as when the file holds another architecture.
    """
    renamed = {name.replace("norm.", "output_norms.2.", 1) if name.startswith("norm.") else name: value for name, value in state.items()}
    wanted = backbone.state_dict()
    optional = ("output_norms.", "num_batches_tracked")
    wrong = [n for n, v in wanted.items() if (n not in renamed and not any(o in n for o in optional)) or (n in renamed and renamed[n].shape != v.shape)]
    if wrong:
        raise UserError(
            f"does not fit the detector's backbone: {len(wrong)} tensors are missing or have another shape, first {wrong[0]!r}",
            file=str(file) if file else None,
            remedy="name the same architecture in the sections backbone and detectors",
        )
    backbone.load_state_dict({name: value for name, value in renamed.items() if name in wanted}, strict=False)


@torch.no_grad()
def reestimate_batch_norm(backbone: Backbone, batches: Iterable[Tensor]) -> None:
    """Replace the batch-norm statistics by their means over batches [B, 3, H, W]; weights stay. No batch: no change."""
    layers = _batch_norms(backbone)
    momenta = [layer.momentum for layer in layers]
    for count, images in enumerate(batches):
        for layer in layers:
            if count == 0:
                layer.reset_running_stats()
            layer.momentum = None  # cumulative mean
            layer.train()
        backbone(images)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()


def _batch_norms(module: nn.Module) -> list[nn.BatchNorm2d]:
    return [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
