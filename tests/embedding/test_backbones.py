"""Weights: where they come from, how they are matched, how they are written."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors import safe_open
from safetensors.torch import save_file

from mutdet.embedding.backbones import WIDTHS, build_backbone, load_backbone, save_backbone
from mutdet.embedding.batch_norm import estimate_batch_norm
from mutdet.embedding.pretrained_backbones import imagenet_backbone
from mutdet.settings.backbone import BackboneFiles
from mutdet.settings.backbones.checkpoint import CheckpointBackboneSettings
from mutdet.settings.backbones.imagenet import ImagenetBackboneSettings
from mutdet.settings.backbones.random import RandomBackboneSettings
from mutdet.settings.base import Runtime
from mutdet.settings.errors import UserError
from mutdet.stages.backbone import run


@pytest.mark.parametrize("architecture", WIDTHS)
def test_last_features_pool_to_torchvisions_own(architecture: str) -> None:
    torch.manual_seed(0)
    reference = torchvision.models.get_model(architecture, weights=None).eval()
    backbone = build_backbone(architecture).eval()
    backbone.body.load_state_dict(reference.state_dict(), strict=False)
    setattr(reference, "head" if architecture == "swin_t" else "fc", torch.nn.Identity())
    images = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        features = backbone(images)
        torch.testing.assert_close(features.mean((2, 3)), reference(images))
    assert features.shape == (1, WIDTHS[architecture], 2, 3)


def test_saved_file_has_torchvisions_names_and_loads(tmp_path: Path) -> None:
    backbone = build_backbone("resnet18")
    save_backbone(tmp_path / "b.safetensors", backbone, "random")
    with safe_open(tmp_path / "b.safetensors", framework="pt") as file:
        assert file.metadata() == {"architecture": "resnet18", "method": "random"}
        expected = {name for name in torchvision.models.resnet18().state_dict() if not name.startswith("fc.")}
        assert set(file.keys()) == expected
    loaded, width = load_backbone(tmp_path / "b.safetensors")
    assert width == 512
    assert not loaded.training
    torch.testing.assert_close(loaded.state_dict(), backbone.state_dict(), rtol=0, atol=0)


def test_equal_weights_are_equal_bytes(tmp_path: Path) -> None:
    backbone = build_backbone("resnet18")
    for number in range(6):
        save_backbone(tmp_path / f"{number}", backbone, "random")
    assert len({(tmp_path / f"{number}").read_bytes() for number in range(6)}) == 1


@pytest.mark.parametrize(("prefix", "suffix"), [("", ".pth"), ("module.", ".safetensors"), ("backbone.", ".pth"), ("module.encoder.", ".safetensors")])
def test_checkpoint_prefixes(tmp_path: Path, prefix: str, suffix: str) -> None:
    torch.manual_seed(1)
    state = torchvision.models.resnet18().state_dict()
    named = {f"{prefix}{name}": tensor for name, tensor in state.items() if "num_batches" not in name}
    path = tmp_path / f"weights{suffix}"
    save_file(named, path) if suffix == ".safetensors" else torch.save({"state_dict": {**named, "head.0.weight": torch.ones(3)}, "epoch": 3}, path)
    settings = CheckpointBackboneSettings(architecture="resnet18", weights=path)
    run(BackboneFiles(output=tmp_path / "out.safetensors"), settings, Runtime())
    loaded, _ = load_backbone(tmp_path / "out.safetensors")
    torch.testing.assert_close(loaded.body.layer4[1].conv2.weight, state["layer4.1.conv2.weight"], rtol=0, atol=0, check_stride=False)


def broken_files(folder: Path) -> dict[str, tuple[Path, str]]:
    state = torchvision.models.resnet18().state_dict()
    torch.save(torchvision.models.resnet50().state_dict(), folder / "resnet50.pth")
    torch.save({**state, "conv1.weight": state["conv1.weight"] * float("nan")}, folder / "nan.pth")
    torch.save(torchvision.models.resnet18(), folder / "pickled.pth")
    torch.save(state, folder / "whole.pth")
    (folder / "cut.pth").write_bytes((folder / "whole.pth").read_bytes()[:100_000])
    save_file(state, folder / "whole.safetensors")
    (folder / "cut.safetensors").write_bytes((folder / "whole.safetensors").read_bytes()[:100_000])
    (folder / "empty.pth").write_bytes(b"")
    (folder / "text.pth").write_text("no weights")
    torch.save([1, 2], folder / "list.pth")
    expected = {
        "absent.pth": "missing",
        "resnet50.pth": "resnet18",
        "nan.pth": "not finite",
        "pickled.pth": "objects besides tensors",
        "cut.pth": "no readable",
        "cut.safetensors": "no readable",
        "empty.pth": "no readable",
        "text.pth": "no readable",
        "list.pth": "no named tensors",
    }
    return {name: (folder / name, message) for name, message in expected.items()}


def test_unfit_files_are_refused_in_one_line(tmp_path: Path) -> None:
    for name, (path, message) in broken_files(tmp_path).items():
        with pytest.raises(UserError, match=message) as caught:
            run(BackboneFiles(output=tmp_path / "out"), CheckpointBackboneSettings(architecture="resnet18", weights=path), Runtime())
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_wrong_checksum_is_refused(tmp_path: Path) -> None:
    torch.save(torchvision.models.resnet18().state_dict(), tmp_path / "weights.pth")
    with pytest.raises(UserError, match="SHA-256"):
        imagenet_backbone(
            ImagenetBackboneSettings(architecture="resnet18", weights=tmp_path / "weights.pth", sha256="0" * 64),
            BackboneFiles(output=tmp_path / "out"),
            Runtime(),
        )


def test_failed_download_names_address_and_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no route")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    with pytest.raises(UserError, match=r"resnet18.*no route.*`weights`"):
        imagenet_backbone(ImagenetBackboneSettings(architecture="resnet18"), BackboneFiles(output=tmp_path / "out"), Runtime())


@pytest.mark.parametrize("content", [b"", b"text", None])
def test_unfit_backbone_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "b.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match="safetensors"):
        load_backbone(path)


def test_foreign_safetensors_are_no_backbone(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="architecture"):
        load_backbone(tmp_path / "a.safetensors")


def test_random_depends_on_seed_but_not_on_shards(write_tiles: Callable[..., Path], tmp_path: Path) -> None:
    names = [f"P{i}__64__0___0" for i in range(20)]
    one = [write_tiles("one", sorted(names))]
    three = [write_tiles(f"three{i}", sorted(names)[i::3]) for i in (2, 0, 1)]
    written = []
    for number, (tiles, seed) in enumerate([(one, 0), (three, 0), (one, 1)]):
        settings = RandomBackboneSettings(architecture="resnet18", seed=seed, calibration_tiles=8, calibration_size=64)
        run(BackboneFiles(tiles=tiles, output=tmp_path / f"b{number}.safetensors"), settings, Runtime())
        written.append((tmp_path / f"b{number}.safetensors").read_bytes())
    assert written[0] == written[1]
    first, other = (load_backbone(tmp_path / f"b{number}.safetensors")[0].body.conv1.weight for number in (0, 2))
    assert not torch.equal(first, other)


@pytest.mark.parametrize("change", [{"calibration_tiles": 2}, {"calibration_size": 96}], ids=["tiles", "size"])
def test_statistics_alone_follow_from_what_is_looked_at(write_tiles: Callable[..., Path], tmp_path: Path, change: dict[str, int]) -> None:
    tiles, chosen = [write_tiles("tiles", [f"P{i}__64__0___0" for i in range(6)])], {"calibration_tiles": 4, "calibration_size": 64}
    for name, settings in (("a", chosen), ("b", {**chosen, **change})):
        run(BackboneFiles(tiles=tiles, output=tmp_path / name), RandomBackboneSettings(architecture="resnet18", **settings), Runtime())
    first, other = (load_backbone(tmp_path / name)[0].body.state_dict() for name in "ab")
    changed = {name for name, tensor in first.items() if not torch.equal(tensor, other[name])}
    assert {name.rpartition(".")[2] for name in changed} == {"running_mean", "running_var"}


def test_random_without_tiles_is_refused(write_tiles: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no tile"):
        run(BackboneFiles(tiles=[write_tiles("none", [])], output=tmp_path / "b"), RandomBackboneSettings(architecture="resnet18"), Runtime())


def test_batch_norm_statistics_are_those_of_the_images() -> None:
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    network[0].running_mean.fill_(99)
    images = [torch.randn(8, 3, 6, 6) * 3 + 5 for _ in range(4)]
    estimate_batch_norm(network, images)
    expected = torch.stack([batch.mean((0, 2, 3)) for batch in images]).mean(0)
    torch.testing.assert_close(network[0].running_mean, expected)
    assert network(images[0]).std().item() == pytest.approx(1, abs=0.1)
    assert not network.training
    assert network[0].momentum == 0.1
