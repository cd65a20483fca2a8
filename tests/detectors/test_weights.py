from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.detectors.transfer import transfer
from mutdet.detectors.weights import load_detector, save_detector
from mutdet.settings.detectors import DetectorSettings
from mutdet.settings.errors import UserError

SMALL = DetectorSettings(backbone="resnet18", width=32, heads=4, points=1, feed_forward=32, encoder_layers=1, decoder_layers=2, queries=5)


def detector(classes: int = 3, seed: int = 0, settings: DetectorSettings = SMALL) -> ArsDetr:
    torch.manual_seed(seed)
    return ArsDetr(settings, classes)


def test_a_detector_survives_its_file(tmp_path: Path) -> None:
    model = detector().eval()
    save_detector(tmp_path / "a.safetensors", model, ["ship", "plane", "lorry"], {"backbone_method": "random"})
    save_detector(tmp_path / "b.safetensors", model, ["ship", "plane", "lorry"], {"backbone_method": "random"})
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    read = load_detector(tmp_path / "a.safetensors")
    assert read.settings == SMALL
    assert read.categories == ["ship", "plane", "lorry"]
    assert read.facts == {"backbone_method": "random"}
    image = torch.randn(1, 3, 64, 64)
    assert torch.equal(read.model.predict(image)[0].boxes, model.predict(image)[0].boxes)


def test_wrong_number_of_categories(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 categories"):
        save_detector(tmp_path / "a.safetensors", detector(), ["ship", "plane"])


@pytest.mark.parametrize("damage", ["missing", "truncated", "text", "foreign", "tensor lost"])
def test_files_that_are_no_detector(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.safetensors"
    save_detector(path, detector(), ["a", "b", "c"])
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "text":
        path.write_text("no weights")
    elif damage == "foreign":
        save_file({"x": torch.zeros(1)}, path)
    else:
        model = detector()
        del model.heads[1].box
        save_detector(path, model, ["a", "b", "c"])
    with pytest.raises(UserError, match=r"a\.safetensors: .*; name a detector") as error:
        load_detector(path)
    assert "\n" not in str(error.value)


def test_transfer_to_other_classes_takes_every_shared_weight() -> None:
    source, target = detector(256, seed=1), detector(3, seed=2)
    report = transfer(source.shared_state(), target)
    assert set(report.loaded) == set(source.shared_state())
    assert report.shape_mismatch == report.unused == []
    assert set(report.missing) == {"denoising_labels.weight", *(f"heads.{i}.classes.{f}" for i in range(2) for f in ("weight", "bias"))}
    for name in report.loaded:
        assert torch.equal(source.state_dict()[name], target.state_dict()[name])
    assert "denoising_labels, heads.0.classes, heads.1.classes" in report.summary()


def test_transfer_lists_what_differs() -> None:
    deeper = SMALL.model_copy(update={"encoder_layers": 2, "queries": 7})
    source, target = detector(), detector(settings=deeper)
    before = target.query_content.detach().clone()
    report = transfer({**source.shared_state(), "extra": torch.zeros(1)}, target)
    assert report.shape_mismatch == ["query_content"]
    assert torch.equal(target.query_content, before)
    assert all(name.startswith(("encoder.layers.1.", "heads.", "denoising_labels")) for name in report.missing)
    assert any(name.startswith("encoder.layers.1.") for name in report.missing)
    assert report.unused == ["extra"]
