import json
from pathlib import Path

import pytest
import torch
from released_model import enhancement_shapes, made_state, released_shapes
from torch import Tensor

from mutdet.detectors.importing import import_released
from mutdet.detectors.weights import load_detector
from mutdet.settings.base import Runtime
from mutdet.settings.errors import UserError
from mutdet.settings.import_checkpoint import ImportCheckpointFiles, ImportCheckpointSettings
from mutdet.stages import import_checkpoint


def small_state(**changes: int) -> dict[str, Tensor]:
    return made_state(released_shapes("resnet18", layers=2, **changes))


def run(checkpoint: Path, output: Path, categories: list[str] | None = None) -> None:
    import_checkpoint.run(
        ImportCheckpointFiles(checkpoint=checkpoint, output=output), ImportCheckpointSettings(categories=categories or []), Runtime(device="cpu")
    )


@pytest.mark.parametrize(("classes", "queries", "hidden"), [(1, 40, 512), (256, 25, 1024)])
def test_architecture_follows_from_the_shapes(classes: int, queries: int, hidden: int) -> None:
    imported = import_released({f"module.{name}": value for name, value in small_state(classes=classes, queries=queries, hidden=hidden).items()})
    settings = imported.model.settings
    assert (settings.backbone, settings.encoder_layers, settings.decoder_layers, settings.queries) == ("resnet18", 2, 2, queries)
    assert (settings.width, settings.feed_forward, settings.points, settings.levels) == (256, hidden, 4, 4)
    assert imported.model.classes == classes
    assert imported.report.missing == []


def test_tensors_go_where_they_belong() -> None:
    state = small_state()
    own = import_released(state).model.state_dict()
    prefix = "bbox_head.transformer.decoder.layers.1."
    packed = state[prefix + "attentions.0.attn.in_proj_weight"]
    for part, row in (("query", 0), ("key", 256), ("value", 512)):
        assert torch.equal(own[f"decoder.layers.1.self_attention.{part}.weight"], packed[row : row + 256])
    assert torch.equal(own["decoder.layers.1.cross_attention.sampling_offsets.bias"], state[prefix + "attentions.1.sampling_offsets.bias"])
    assert torch.equal(own["decoder.layers.1.feed_forward_norm.weight"], state[prefix + "norms.2.weight"])
    assert torch.equal(own["encoder_head.box.4.weight"], state["bbox_head.reg_branches.2.4.weight"])
    assert torch.equal(own["heads.1.box.4.weight"], state["bbox_head.reg_branches.1.4.weight"])
    assert torch.equal(own["level_embedding"], state["bbox_head.transformer.level_embeds"][:4])


def test_parts_of_mutdet_without_a_place_are_listed() -> None:
    report = import_released(small_state() | made_state(enhancement_shapes(1))).report
    assert "bbox_head.transformer.feature_enhance.layers.0.mlp.lin1.weight" in report.left
    assert report.missing == []


def test_other_models_are_refused() -> None:
    state = small_state()
    with pytest.raises(UserError, match="lacks the tensor"):
        import_released({name: value for name, value in state.items() if "query_embed" not in name})
    with pytest.raises(UserError, match="no ResNet"):
        import_released({name: value for name, value in state.items() if not name.startswith("backbone.layer3.1")})
    state["neck.convs.0.conv.weight"] = torch.zeros(256, 7, 1, 1)
    with pytest.raises(UserError, match=r"neck\.convs\.0\.conv\.weight: shape"):
        import_released(state)


def test_stage_writes_a_detector_and_its_report(tmp_path: Path) -> None:
    torch.save({"state_dict": small_state(classes=2), "meta": {"CLASSES": ("ship", "plane"), "epoch": 36}}, tmp_path / "released.pth")
    run(tmp_path / "released.pth", tmp_path / "detector.safetensors")
    assert load_detector(tmp_path / "detector.safetensors").categories == ["ship", "plane"]
    report = json.loads((tmp_path / "detector.json").read_text())
    assert report["taken"]["bbox_head.label_embedding.weight"] == ["denoising_labels.weight"]
    assert "bbox_head.transformer.pos_trans.weight" in report["left"]
    run(tmp_path / "released.pth", tmp_path / "renamed.safetensors", ["a", "b"])
    assert load_detector(tmp_path / "renamed.safetensors").categories == ["a", "b"]
    with pytest.raises(UserError, match="3 categories for 2 classes"):
        run(tmp_path / "released.pth", tmp_path / "other.safetensors", ["a", "b", "c"])


class _Harm:
    def __reduce__(self):
        return print, ("executed",)


def test_nothing_in_a_checkpoint_is_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": {}, "meta": _Harm()}, tmp_path / "bad.pth")
    with pytest.raises(UserError, match="objects besides tensors") as error:
        run(tmp_path / "bad.pth", tmp_path / "detector.safetensors")
    assert "executed" not in capsys.readouterr().out
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_unreadable_checkpoints(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "bad.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.pth: "):
        run(path, tmp_path / "detector.safetensors")
    assert not (tmp_path / "detector.safetensors").exists()


def test_truncated_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    torch.save(small_state(), path)
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(UserError, match=r"cut\.pth: "):
        run(path, tmp_path / "detector.safetensors")
