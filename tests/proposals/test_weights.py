"""Checkpoints: verified, refused when wrong."""

import hashlib
import shutil

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from mutdet.proposals.sam_weights import load_sam
from mutdet.proposals.small_sam import build_small_sam
from mutdet.settings.errors import UserError
from mutdet.settings.proposals.sam_generator import SMALL_WEIGHTS, SamSettings


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    torch.manual_seed(3)
    save_file({name: tensor.contiguous() for name, tensor in build_small_sam().state_dict().items()}, path)
    return path


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_checkpoint_gives_its_tensors(checkpoint):
    torch.manual_seed(3)
    expected = build_small_sam().state_dict()
    found = load_sam("small", checkpoint, digest(checkpoint)).state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_pth_checkpoint_without_pickled_objects(checkpoint, tmp_path):
    path = tmp_path / "small.pth"
    torch.save(build_small_sam().state_dict(), path)
    assert not load_sam("small", path, digest(path)).training


def test_pickled_object_is_not_run(tmp_path):
    path = tmp_path / "bad.pth"
    torch.save({"weights": torch.nn.Linear(2, 2)}, path)
    with pytest.raises(UserError, match="objects besides tensors"):
        load_sam("small", path, digest(path))


def test_other_hash_is_refused(checkpoint):
    with pytest.raises(UserError, match="SHA-256") as error:
        load_sam("small", checkpoint, "0" * 64)
    assert str(checkpoint) in str(error.value)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("size", [0, 10, 5000])
def test_truncated_checkpoint(suffix, size, checkpoint, tmp_path):
    whole = tmp_path / f"whole{suffix}"
    if suffix == ".pth":
        torch.save(build_small_sam().state_dict(), whole)
    else:
        shutil.copy(checkpoint, whole)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole.read_bytes()[:size])
    with pytest.raises(UserError, match="no readable checkpoint"):
        load_sam("small", path, digest(path))


def test_missing_checkpoint(tmp_path):
    with pytest.raises(UserError, match="missing"):
        load_sam("small", tmp_path / "none.pth", None)


def test_checkpoint_of_another_model(tmp_path):
    path = tmp_path / "other.safetensors"
    state = build_small_sam().state_dict()
    state["extra"] = torch.zeros(1)
    state["mask_decoder.iou_token.weight"] = torch.zeros(1, 7)
    del state["image_encoder.lateral8.weight"]
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    with pytest.raises(UserError, match=r"1 tensors missing.*1 tensors unknown.*1 tensors of another shape"):
        load_sam("small", path, None)


def test_package_weights_are_small_and_half():
    assert SMALL_WEIGHTS.stat().st_size < 10e6
    assert SMALL_WEIGHTS.with_name("MODEL_CARD.md").is_file()
    sam = load_sam("small", None, None)
    assert all(parameter.dtype == torch.float32 and torch.isfinite(parameter).all() for parameter in sam.parameters())


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "vit_b"},
        {"weights": "x.pth"},
        {"sha256": "0" * 64},
        {"points_per_side": 0},
        {"model": "vit_b", "weights": "x.pth", "sha256": "0" * 64, "peaks": 10},
        {"min_mask_region_area": 5, "decoder": "fused"},
        {"min_mask_region_area": 5, "precision": "bfloat16"},
        {"crop_n_layers": 2, "points_per_side": 2, "crop_n_points_downscale_factor": 2},
        {"pred_iou_thresh": 1.5},
        {"unknown": 1},
    ],
)
def test_impossible_settings(wrong):
    with pytest.raises(ValidationError):
        SamSettings(**wrong)
