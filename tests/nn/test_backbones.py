import pytest
import torch
import torchvision

from mutdet.nn.backbones import build_backbone, load_backbone, reestimate_batch_norm
from mutdet.settings.errors import UserError


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "swin_t"])
def test_strides_and_channels(name: str) -> None:
    backbone = build_backbone(name).eval()
    with torch.no_grad():
        features = backbone(torch.randn(1, 3, 64, 96))
    assert [tuple(f.shape) for f in features] == [(1, channels, 64 // s, 96 // s) for channels, s in zip(backbone.channels, (8, 16, 32), strict=True)]


@pytest.mark.parametrize("name", ["resnet18", "swin_t"])
def test_loads_torchvision_weights(name: str) -> None:
    torch.manual_seed(0)
    model, backbone = torchvision.models.get_model(name, weights=None).eval(), build_backbone(name).eval()
    load_backbone(backbone, model.state_dict())
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        features = backbone(image)[-1]
        pooled = features.mean((2, 3))
        fc = model.fc if name == "resnet18" else model.head
        torch.testing.assert_close(fc(pooled), model(image))


def test_another_architecture_is_refused() -> None:
    with pytest.raises(UserError, match="does not fit"):
        load_backbone(build_backbone("resnet18"), torchvision.models.resnet50(weights=None).state_dict())


@pytest.mark.parametrize("name", ["resnet18", "swin_t"])
def test_what_trains(name: str) -> None:
    backbone = build_backbone(name)
    backbone.set_extent("upper")
    trained = {n for n, p in backbone.named_parameters() if p.requires_grad}
    assert not any(n.startswith(("conv1", "bn1", "layer1", "features.0.", "features.1.")) or ".bn" in n or "downsample.1" in n for n in trained)
    assert any(n.startswith(("layer2", "features.3")) for n in trained)
    backbone.set_extent("nothing")
    assert not any(p.requires_grad for p in backbone.parameters())
    backbone.set_extent("all")
    assert all(p.requires_grad for p in backbone.parameters())


def test_batch_statistics_never_move_in_training() -> None:
    backbone = build_backbone("resnet18").train()
    before = {n: v.clone() for n, v in backbone.state_dict().items()}
    backbone(torch.randn(2, 3, 64, 64))
    assert all(torch.equal(before[n], v) for n, v in backbone.state_dict().items())


def test_reestimated_statistics_are_those_of_the_images() -> None:
    torch.manual_seed(0)
    backbone = build_backbone("resnet18")
    batches = [torch.randn(2, 3, 64, 64) * 2 + 1 for _ in range(3)]
    reestimate_batch_norm(backbone, batches)
    with torch.no_grad():
        maps = [backbone.conv1(images) for images in batches]
    torch.testing.assert_close(backbone.bn1.running_mean, torch.stack([m.mean((0, 2, 3)) for m in maps]).mean(0))
    torch.testing.assert_close(backbone.bn1.running_var, torch.stack([m.var((0, 2, 3)) for m in maps]).mean(0))
    assert not backbone.bn1.training
    assert backbone.bn1.momentum == pytest.approx(0.1)
