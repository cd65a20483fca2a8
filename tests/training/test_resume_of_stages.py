"""Trainings of the stages, stopped by a signal after every step: weights and log end byte for byte as without a stop."""

import pytest
import torch
from drawn_tables import TINY, draw_tables
from stopped_trainings import check_stops
from torch._dynamo.utils import counters

from mutdet.settings.base import Runtime
from mutdet.settings.finetune import FinetuneFiles, FinetuneSettings
from mutdet.settings.pretrain import PretrainFiles
from mutdet.settings.registries import PRETRAINING_METHODS
from mutdet.stages import finetune, pretrain

STEPS = 3
STOPS = [(1, 2), (2, 0)]
TRAINING = {"iterations": STEPS, "batch": 2, "image_size": 96, "threads": 1, "log_every": 2, "average": 0.9, "learning_rate": 1e-3}
SMALL = {
    "mutdet": {"enhancement_layers": 1, "enhancement_width": 32, "embedding_width": 32},
    "aligndet": {"projection": 16},
    "detreg": {},
    "updetr": {"patches": 5, "patch_size": 32},
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_tables(tmp_path_factory.mktemp("drawn"), 5)


# A GPU adds in changing order unless it is told not to.
RUNTIMES = [
    pytest.param(Runtime(device="cpu"), id="cpu"),
    pytest.param(Runtime(device="cuda", deterministic=True), id="cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]


def pretraining(name, runtime, drawn, **changed):
    settings = PRETRAINING_METHODS[name].settings_class(architecture=TINY.model_copy(update={"dropout": 0.1}), **TRAINING, **SMALL[name], **changed)

    def run(folder, workers):
        output, log = folder / "detector.safetensors", folder / "log.parquet"
        common = {"tiles": drawn.tiles, "pseudo_labels": drawn.pseudo_labels, "backbone": drawn.backbone, "state": folder / "state"}
        pretrain.run(PretrainFiles(output=output, log=log, **common), settings, runtime.model_copy(update={"workers": workers}))
        return output.read_bytes(), log.read_bytes()

    return run


def fine_tuning(untrained, runtime, drawn, **changed):
    settings = PRETRAINING_METHODS["none"].settings_class(architecture=TINY)
    files = PretrainFiles(backbone=drawn.backbone, output=untrained, log=untrained.with_suffix(".parquet"), state=untrained.with_suffix(".state"))
    pretrain.run(files, settings, Runtime(device="cpu"))

    def run(folder, workers):
        output, log = folder / "detector.safetensors", folder / "log.parquet"
        common = {"tiles": drawn.tiles, "images": drawn.images, "labels": drawn.labels, "detector": untrained, "state": folder / "state"}
        settings = FinetuneSettings(**TRAINING, **changed)
        finetune.run(FinetuneFiles(output=output, log=log, **common), settings, runtime.model_copy(update={"workers": workers}))
        return output.read_bytes(), log.read_bytes()

    return run


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("name", SMALL)
def test_pretraining(name, runtime, drawn, tmp_path, monkeypatch):
    check_stops(pretraining(name, runtime, drawn), tmp_path, monkeypatch, STEPS, STOPS)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_fine_tuning(runtime, drawn, tmp_path, monkeypatch):
    run = fine_tuning(tmp_path / "untrained.safetensors", runtime, drawn)
    check_stops(run, tmp_path, monkeypatch, STEPS, STOPS)


@pytest.fixture
def compiled_graphs():
    """Counts the parts of networks that were compiled."""
    torch._dynamo.reset()
    counters["stats"].clear()
    return lambda: counters["stats"]["unique_graphs"]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_compiled_pretraining(precision, drawn, tmp_path, monkeypatch, compiled_graphs, bfloat16_is_computed):
    run = pretraining("mutdet", Runtime(device="cpu"), drawn, compile=True, precision=precision)
    check_stops(run, tmp_path, monkeypatch, STEPS, STOPS[1:])
    assert compiled_graphs() > 0


@pytest.mark.slow
def test_compiled_fine_tuning(drawn, tmp_path, monkeypatch, compiled_graphs):
    run = fine_tuning(tmp_path / "untrained.safetensors", Runtime(device="cpu"), drawn, compile=True)
    check_stops(run, tmp_path, monkeypatch, STEPS, STOPS[1:])
    assert compiled_graphs() > 0
