"""Every stage that computes, on a device that is not the CPU: where tensors of both meet, it fails here as it would with CUDA."""

import importlib
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from drawn_tables import TINY, draw_tables
from other_device import OTHER, other_device, recorded_waits
from safetensors.torch import load_file
from tiny_backbone import TinyBackbone

from mutdet.settings.backbone import BackboneFiles
from mutdet.settings.base import Runtime
from mutdet.settings.detect import DetectSettings, DetectTilesFiles
from mutdet.settings.embed import EmbedFiles, EmbedSettings
from mutdet.settings.finetune import FinetuneFiles, FinetuneSettings
from mutdet.settings.masks import MasksFiles
from mutdet.settings.pretrain import PretrainFiles
from mutdet.settings.proposals.sam_generator import SamSettings
from mutdet.settings.registries import PRETRAINING_METHODS
from mutdet.settings.stages import STAGES
from mutdet.stages import backbone, detect, embed, finetune, masks, pretrain
from mutdet.tables.read import read_table
from mutdet.tables.vectors import column_to_vectors

TRAINING = {"batch": 2, "image_size": 96, "threads": 1, "log_every": 1}
SMALL = {
    "mutdet": {"enhancement_layers": 1, "enhancement_width": 32, "embedding_width": 32},
    "aligndet": {"projection": 16},
    "updetr": {"patches": 5, "patch_size": 32},
}
SELF_SUPERVISED = {
    "byol": {"projection_hidden": 32},
    "selfemd": {"projection_hidden": 32, "third_view": 0},
    "simsiam": {"prediction_hidden": 8},
    "mocov2": {"projection_hidden": 32, "queue": 16},
    "densecl": {"projection_hidden": 32, "queue": 16},
}
VIEWS = {"architecture": "resnet18", "crop_size": 32, "blur_kernel": 5, "batch": 4, "threads": 1, "projection_width": 16, "log_every": 1, "iterations": 2}
MODULES = ["mutdet.stages.masks", "mutdet.stages.embed", "mutdet.stages.detect"]
MODULES += ["mutdet.training.processes", "mutdet.training.self_supervised"]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_tables(tmp_path_factory.mktemp("drawn"), 4)


@pytest.fixture
def both(monkeypatch, tmp_path):
    """Runs a stage on the CPU and on the other device; gives the two outputs."""

    def run(stage, files, settings, name: str) -> tuple[Path, Path]:
        outputs = []
        for place in ("here", "there"):
            folder = tmp_path / place
            folder.mkdir(exist_ok=True)
            chosen = files(folder, folder / name)
            if place == "here":
                stage(chosen, settings, Runtime(device="cpu"))
            else:
                with monkeypatch.context() as patch, other_device():
                    for module in map(importlib.import_module, MODULES):
                        patch.setattr(module, "prepare_device", lambda runtime: OTHER)
                    stage(chosen, settings, Runtime())
            outputs.append(folder / name)
        return outputs[0], outputs[1]

    return run


def assert_equal_weights(outputs: tuple[Path, Path]) -> None:
    """Equal up to the rounding of other layouts in memory, grown by the steps of the training."""
    here, there = map(load_file, outputs)
    assert here.keys() == there.keys()
    for name, tensor in here.items():
        torch.testing.assert_close(there[name], tensor, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize(("method", "kind"), [*((name, "ars_detr") for name in sorted(set(PRETRAINING_METHODS) - {"none"})), ("mutdet", "deformable_detr")])
def test_pretraining(both, drawn, method, kind):
    architecture = TINY.model_copy(update={"kind": kind})
    settings = PRETRAINING_METHODS[method].settings_class(architecture=architecture, iterations=1, **TRAINING, **SMALL.get(method, {}))

    def files(folder, output):
        sources = {"tiles": drawn.tiles, "pseudo_labels": drawn.pseudo_labels, "backbone": drawn.backbone}
        return PretrainFiles(**sources, output=output, log=folder / "log.parquet", state=folder / "state")

    assert_equal_weights(both(pretrain.run, files, settings, "detector.safetensors"))


@pytest.fixture
def detector(drawn, tmp_path):
    settings = PRETRAINING_METHODS["none"].settings_class(architecture=TINY)
    files = {"tiles": drawn.tiles, "backbone": drawn.backbone, "log": tmp_path / "log.parquet", "state": tmp_path / "state"}
    pretrain.run(PretrainFiles(output=tmp_path / "none.safetensors", **files), settings, Runtime(device="cpu"))
    return tmp_path / "none.safetensors"


def test_fine_tuning(both, drawn, detector):
    def files(folder, output):
        sources = {"tiles": drawn.tiles, "images": drawn.images, "labels": drawn.labels, "detector": detector}
        return FinetuneFiles(**sources, output=output, log=folder / "log.parquet", state=folder / "state")

    settings = FinetuneSettings(iterations=1, **TRAINING)
    assert_equal_weights(both(finetune.run, files, settings, "detector.safetensors"))


def waits_of_a_step(run) -> list[str]:
    """What a training of two steps waits for and one of one step does not."""
    found = []
    for steps in (1, 2):
        with recorded_waits() as waits:
            run(steps)
            found.append(list(waits))
    once, twice = map(Counter, found)
    return sorted((twice - once).elements())


def test_a_step_waits_for_its_matches_and_its_log(drawn, detector, tmp_path, monkeypatch):
    def pretraining(steps):
        settings = PRETRAINING_METHODS["mutdet"].settings_class(architecture=TINY, iterations=steps, **TRAINING, **SMALL["mutdet"])
        sources = {"tiles": drawn.tiles, "pseudo_labels": drawn.pseudo_labels, "backbone": drawn.backbone}
        folder = tmp_path / f"mutdet-{steps}"
        pretrain.run(PretrainFiles(**sources, output=folder / "d.safetensors", log=folder / "l.parquet", state=folder / "state"), settings, Runtime())

    def fine_tuning(steps):
        sources = {"tiles": drawn.tiles, "images": drawn.images, "labels": drawn.labels, "detector": detector}
        folder = tmp_path / f"finetune-{steps}"
        files = FinetuneFiles(**sources, output=folder / "d.safetensors", log=folder / "l.parquet", state=folder / "state")
        finetune.run(files, FinetuneSettings(iterations=steps, **TRAINING), Runtime())

    with other_device():
        for module in map(importlib.import_module, MODULES):
            monkeypatch.setattr(module, "prepare_device", lambda runtime: OTHER)
        # MutDet's two branches are matched together.
        for run in (pretraining, fine_tuning):
            waits = waits_of_a_step(run)
            assert sum("matcher.py" in place for place in waits) == 1
            assert sum("loop.py" in place for place in waits) == 1
            assert len(waits) == 2, waits


def test_detection(both, drawn, detector):
    def files(folder, output):
        return DetectTilesFiles(tiles=drawn.tiles[0], detector=detector, output=output)

    here, there = map(pq.read_table, both(detect.run_tiles, files, DetectSettings(image_size=96), "detections.parquet"))
    assert len(here) == len(there) > 0


def test_embedding(both, drawn, tmp_path):
    columns = ["tile_id", "mask_id", "cx", "cy", "w", "h", "angle", "polygon", "score"]
    table = pq.read_table(drawn.pseudo_labels[0]).select(columns)
    boxes = tmp_path / "boxes.parquet"
    pq.write_table(table.append_column("area_share", pa.array([0.1] * len(table), pa.float32())), boxes)

    def files(folder, output):
        return EmbedFiles(tiles=drawn.tiles[0], boxes=boxes, backbone=drawn.backbone, output=output)

    here, there = both(embed.run, files, EmbedSettings(boxes="b", backbone="b", crop=32), "embeddings.parquet")
    first, second = (torch.from_numpy(column_to_vectors(read_table(path)["embedding"])).float() for path in (here, there))
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-3)


def test_masks(both, drawn):
    settings = SamSettings(decoder="fused", points_per_side=3, peaks=8, pred_iou_thresh=0.1, stability_score_thresh=0.1, points_per_batch=8)

    def files(folder, output):
        return MasksFiles(tiles=drawn.tiles[0], output=output)

    here, there = map(pq.read_table, both(masks.run, files, settings, "masks.parquet"))
    assert here["counts"].to_pylist() == there["counts"].to_pylist() != []


@pytest.mark.parametrize("method", SELF_SUPERVISED)
def test_self_supervised_backbones(both, drawn, monkeypatch, method):
    monkeypatch.setattr("mutdet.training.self_supervised.build_backbone", lambda architecture: TinyBackbone())
    settings = STAGES["backbone"].validate({"method": method, **VIEWS, **SELF_SUPERVISED[method]})

    def files(folder, output):
        return BackboneFiles(tiles=drawn.tiles, output=output, log=folder / "log.parquet", state=folder / "state")

    assert_equal_weights(both(backbone.run, files, settings, "backbone.safetensors"))


def test_random_backbone(both, drawn):
    settings = STAGES["backbone"].validate({"method": "random", "architecture": "resnet18"})

    def files(folder, output):
        return BackboneFiles(tiles=drawn.tiles, output=output)

    assert_equal_weights(both(backbone.run, files, settings, "backbone.safetensors"))


def test_the_other_device_refuses_what_cuda_refuses():
    with other_device():
        there = torch.zeros(2, 3).to(OTHER)
        assert there.new_tensor([1.0, 2.0]).sum().item() == 3.0
        assert (there + 1.0)[[0]].cpu().tolist() == [[1.0, 1.0, 1.0]]
        with pytest.raises(RuntimeError, match="on the CPU and on the other device"):
            there + torch.ones(2, 3)
        with pytest.raises(RuntimeError, match="a generator of cpu"):
            torch.rand(2, device=OTHER, generator=torch.Generator())
        with pytest.raises((RuntimeError, TypeError)):
            there.numpy()
