"""Networks without their classifier, and the file that holds their weights."""

from pathlib import Path

import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn

from mutdet.settings.errors import UserError
from mutdet.tables.weights import read_metadata, write_weights

WIDTHS = {"resnet18": 512, "resnet50": 2048, "resnet101": 2048, "swin_t": 768}


class Backbone(nn.Module):
    """A torchvision network up to its last features; `body` has torchvision's parameter names, without a classifier.

    Attributes:
        architecture: torchvision's name.
        width: channels D of the last features.
    """

    def __init__(self, architecture: str) -> None:
        super().__init__()
        self.architecture = architecture
        self.width = WIDTHS[architecture]
        self.body = torchvision.models.get_model(architecture, weights=None)
        setattr(self.body, "head" if architecture == "swin_t" else "fc", nn.Identity())

    def forward(self, images: Tensor) -> Tensor:
        """Last features [B, D, H / 32, W / 32] of normalised images [B, 3, H, W]."""
        body = self.body
        if self.architecture == "swin_t":
            return body.permute(body.norm(body.features(images)))
        x = body.maxpool(body.relu(body.bn1(body.conv1(images))))
        return body.layer4(body.layer3(body.layer2(body.layer1(x))))


def build_backbone(architecture: str) -> Backbone:
    """Untrained network.

    Raises:
        UserError: the architecture is unknown.
    """
    if architecture not in WIDTHS:
        raise UserError(f"backbone architecture {architecture!r} is unknown", remedy=f"choose one of {', '.join(WIDTHS)}")
    return Backbone(architecture)


def save_backbone(path: Path, backbone: Backbone, method: str) -> None:
    """Write weights under torchvision's names; metadata: `architecture`, `method`."""
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in backbone.body.state_dict().items()}
    write_weights(path, tensors, {"architecture": backbone.architecture, "method": method})


def load_backbone(path: Path) -> tuple[Backbone, int]:
    """Frozen backbone in evaluation mode, and the channels D of its last features.

    Raises:
        UserError: the file is missing or cut off, or is not one that `save_backbone` wrote.
    """
    metadata = read_metadata(path)
    if "architecture" not in metadata:
        raise UserError("does not say which architecture it is for", file=path, remedy="run the backbone stage, with method checkpoint for foreign weights")
    backbone = build_backbone(metadata["architecture"])
    try:
        backbone.body.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise UserError(f"is no {backbone.architecture} backbone", file=path, remedy="run the backbone stage again") from error
    return backbone.eval().requires_grad_(False), backbone.width
