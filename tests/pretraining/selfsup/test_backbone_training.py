"""The methods as stage `backbone` runs them: they learn, resume, repeat, and refuse what cannot be."""

import shutil
from itertools import product

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import torchvision
from drawn_tables import draw_tables, tile_row
from pydantic import ValidationError
from safetensors import safe_open
from stopped_trainings import check_stops
from tiny_backbone import TinyBackbone

from mutdet.embedding.backbones import load_backbone
from mutdet.pretraining.selfsup.byol import Byol
from mutdet.pretraining.selfsup.mocov2 import MocoV2
from mutdet.settings.backbone import BackboneFiles
from mutdet.settings.base import Runtime
from mutdet.settings.errors import UserError
from mutdet.settings.registries import BACKBONE_METHODS
from mutdet.settings.stages import STAGES
from mutdet.stages import backbone as stage
from mutdet.tables import tiles
from mutdet.tables.write import write_table
from mutdet.training import self_supervised
from mutdet.training.state import Checkpoints

COMMON = {
    "architecture": "resnet18",
    "crop_size": 32,
    "blur_kernel": 5,
    "batch": 4,
    "threads": 1,
    "projection_width": 16,
    "optimiser": "adamw",
    "learning_rate": 0.064,
    "log_every": 1,
    "iterations": 3,
}
OWN = {
    "byol": {"projection_hidden": 32},
    "selfemd": {"projection_hidden": 32, "third_view": 0},
    "simsiam": {"prediction_hidden": 8},
    "mocov2": {"projection_hidden": 32, "queue": 16},
    "densecl": {"projection_hidden": 32, "queue": 16},
}


def settings_of(method="byol", **changes):
    return STAGES["backbone"].validate({"method": method, **COMMON, **OWN[method], **changes})


@pytest.fixture(autouse=True)
def tiny_networks(request, monkeypatch):
    if "real_network" not in request.keywords:
        monkeypatch.setattr(self_supervised, "build_backbone", lambda architecture: TinyBackbone())


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_tables(tmp_path_factory.mktemp("drawn"), 6, side=48, shards=2)


def train(folder, tables, settings, workers=0, **changes):
    """Bytes of the weights, and the log's values by (step, name)."""
    files = {"tiles": tables, "output": folder / "backbone.safetensors", "log": folder / "log.parquet", "state": folder / "state"}
    stage.run(BackboneFiles(**{**files, **changes}), settings, Runtime(device="cpu", workers=workers))
    rows = pq.read_table(folder / "log.parquet").to_pylist()
    return (folder / "backbone.safetensors").read_bytes(), {(row["step"], row["name"]): row["value"] for row in rows}


def test_every_self_supervised_method_is_tried_here():
    trained = {name for name, plugin in BACKBONE_METHODS.items() if plugin.settings_class.trains}
    assert trained == set(OWN)


STILL = {"jitter": 0.0, "grey": 0.0, "blur": [0.0, 0.0], "solarize": [0.0, 0.0], "min_scale": 0.7}


@pytest.mark.parametrize("method", OWN)
def test_loss_falls(method, drawn, tmp_path):
    queue = {"queue": 4} if "queue" in OWN[method] else {}  # full of real keys after the first step
    _, values = train(tmp_path, drawn.tiles, settings_of(method, iterations=60, learning_rate=0.64, **STILL, **queue))
    losses = [values[step, "loss/total"] for step in range(1, 61)]
    assert np.mean(losses[-6:]) < 0.9 * np.mean(losses[1:4])
    own = {"selfemd": {"loss/transport"}, "densecl": {"loss/dense"}}.get(method, set())
    assert {name for _, name in values} == {"loss/total", "loss/vector", "feature_deviation", "learning_rate"} | own


@pytest.mark.real_network
def test_the_file_is_a_backbone_with_torchvisions_names(drawn, tmp_path):
    train(tmp_path, drawn.tiles, settings_of("selfemd", iterations=2, crop_size=64, third_view=32))
    with safe_open(tmp_path / "backbone.safetensors", framework="pt") as file:
        assert file.metadata() == {"architecture": "resnet18", "method": "selfemd"}
    backbone, width = load_backbone(tmp_path / "backbone.safetensors")
    assert width == 512
    assert set(backbone.body.state_dict()) == {name for name in torchvision.models.resnet18().state_dict() if not name.startswith("fc.")}
    assert all(torch.isfinite(tensor).all() for tensor in backbone.state_dict().values())


@pytest.mark.parametrize(
    ("method", "second", "kept", "share"),
    [("byol", "target_backbone", [0.75, 1.0], {"average_start": 0.5}), ("mocov2", "key_backbone", [0.5, 0.5], {"average": 0.5})],
)
def test_the_second_network_follows_after_each_step(method, second, kept, share, drawn, tmp_path):
    """Two steps; BYOL's share rises from 0.5 to 1, of which it is halfway after the first."""
    settings = settings_of(method, iterations=2, checkpoint_minutes=1e-9, **share)
    train(tmp_path, drawn.tiles, settings)
    expected = self_supervised._build({"byol": Byol, "mocov2": MocoV2}[method], settings).backbone.state_dict()["body.0.weight"]
    start = expected.clone()
    for keep, path in zip(kept, sorted((tmp_path / "state").glob("*/checkpoint-*.pt")), strict=True):
        found = torch.load(path, weights_only=True)["model"]
        expected = keep * expected + (1.0 - keep) * found["backbone.body.0.weight"]
        torch.testing.assert_close(found[f"{second}.body.0.weight"], expected)
    assert not torch.allclose(expected, start)


@pytest.mark.parametrize("method", ["selfemd", "mocov2"])
def test_two_runs_are_equal_whatever_the_shards(method, drawn, tmp_path):
    weights, values = train(tmp_path / "one", drawn.tiles, settings_of(method))
    assert train(tmp_path / "two", drawn.tiles[::-1], settings_of(method)) == (weights, values)
    assert train(tmp_path / "three", drawn.tiles, settings_of(method, seed=1))[0] != weights


@pytest.mark.parametrize(("method", "optimiser"), [*((method, "adamw") for method in OWN), ("byol", "lars"), ("mocov2", "sgd")])
def test_training_stopped_in_any_step_ends_byte_for_byte_alike(method, optimiser, drawn, tmp_path, monkeypatch):
    """Six tiles: the second step begins a new pass over them, the last one a new stretch of the log's averages."""
    settings = settings_of(method, optimiser=optimiser, iterations=4, log_every=3)

    def run(folder, workers):
        weights, _ = train(folder, drawn.tiles, settings, workers)
        return weights, (folder / "log.parquet").read_bytes()

    check_stops(run, tmp_path, monkeypatch, 4, product((1, 2, 3), (0, 2)))


def test_labels_reach_nothing_and_a_probe_changes_the_log_alone(drawn, tmp_path):
    bare = []
    for path in drawn.tiles:
        bare.append(tmp_path / path.name)
        rows = [{**row, "labels": []} for row in pq.read_table(path).to_pylist()]
        write_table(bare[-1], rows, tiles.SCHEMA, rows_per_group=tiles.ROWS_PER_GROUP)
    weights, values = train(tmp_path / "labelled", drawn.tiles, settings_of())
    assert train(tmp_path / "bare", bare, settings_of()) == (weights, values)
    probed = settings_of(probe_dataset="drawn", probe_every=2, probe_neighbours=3)
    probed_weights, probed_values = train(tmp_path / "probed", bare, probed, probe=drawn.tiles)
    assert probed_weights == weights
    figures = {step: value for (step, name), value in probed_values.items() if name == "neighbour_accuracy"}
    assert set(figures) == {2, 3}
    assert all(0.0 <= value <= 1.0 for value in figures.values())
    assert {key: value for key, value in probed_values.items() if key[1] != "neighbour_accuracy"} == values
    with pytest.raises(UserError, match="--probe"):
        train(tmp_path / "no", bare, probed)
    with pytest.raises(UserError, match="two categories"):
        train(tmp_path / "none", bare, probed, probe=bare)


def test_a_changed_image_is_another_training(drawn, tmp_path):
    settings = settings_of(iterations=2)
    before, _ = train(tmp_path, drawn.tiles, settings)
    rows = pq.read_table(drawn.tiles[0]).to_pylist()
    rows[0]["image"] = cv2.imencode(".png", np.zeros((48, 48, 3), np.uint8))[1].tobytes()
    write_table(tmp_path / "changed.parquet", rows, tiles.SCHEMA)
    assert train(tmp_path, [tmp_path / "changed.parquet", drawn.tiles[1]], settings)[0] != before
    assert train(tmp_path, drawn.tiles, settings)[0] == before


def test_accumulated_parts_make_one_step(drawn, tmp_path):
    whole = train(tmp_path / "1", drawn.tiles, settings_of(accumulate=1, batch=8, iterations=2))[1]
    parts = train(tmp_path / "2", drawn.tiles, settings_of(accumulate=2, batch=8, iterations=2))[1]
    assert [key for key in parts if key[1] == "loss/total"] == [(1, "loss/total"), (2, "loss/total")]
    assert parts[1, "loss/total"] == pytest.approx(whole[1, "loss/total"], rel=0.3)


def test_reduced_precision_stays_near(drawn, tmp_path, bfloat16_is_computed):
    exact = train(tmp_path / "32", drawn.tiles, settings_of("selfemd", iterations=1))[1]
    reduced = train(tmp_path / "16", drawn.tiles, settings_of("selfemd", iterations=1, precision="bfloat16"))[1]
    assert reduced[1, "loss/total"] == pytest.approx(exact[1, "loss/total"], rel=0.05)
    with pytest.raises(UserError, match="needs CUDA"):
        train(tmp_path / "no", drawn.tiles, settings_of(precision="float16"))


def one_tile(folder, image):
    row = tile_row("only__8__0___0", image, np.zeros((0, 5), np.float32), [])
    write_table(folder / "tiles.parquet", [row], tiles.SCHEMA)
    return [folder / "tiles.parquet"]


@pytest.mark.parametrize("method", OWN)
@pytest.mark.parametrize("kind", ["constant", "tiny"])
def test_one_tile_without_content_or_smaller_than_the_view_trains(method, kind, tmp_path):
    image = np.full((48, 48, 3), 128, np.uint8) if kind == "constant" else np.random.default_rng(0).integers(0, 255, (7, 5, 3), np.uint8)
    _, values = train(tmp_path, one_tile(tmp_path, image), settings_of(method, iterations=2))
    assert all(np.isfinite(value) for value in values.values())
    if kind == "constant":
        assert values[1, "feature_deviation"] < 1.0


@pytest.mark.parametrize("changes", [{"batch": 1}, {"batch": 4, "accumulate": 4}, {"batch": 6, "accumulate": 4}])
def test_a_batch_of_one_is_refused(changes):
    with pytest.raises(ValidationError, match="batch"):
        settings_of(**changes)


def test_a_wrong_checkpoint_is_refused(drawn, tmp_path):
    settings = settings_of(iterations=1)
    train(tmp_path, drawn.tiles, settings)
    (checkpoint,) = (tmp_path / "state").glob("*/checkpoint-*.pt")
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[:1000])
    with pytest.raises(UserError, match="no complete checkpoint"):
        train(tmp_path, drawn.tiles, settings)
    Checkpoints(checkpoint.parent, "another").save(1, {})
    with pytest.raises(UserError, match="other settings or data"):
        train(tmp_path, drawn.tiles, settings)


def test_what_is_missing_is_told(drawn, tmp_path):
    with pytest.raises(UserError, match="--log and --state"):
        stage.run(BackboneFiles(tiles=drawn.tiles, output=tmp_path / "b"), settings_of(), Runtime(device="cpu"))
    write_table(tmp_path / "none.parquet", [], tiles.SCHEMA)
    with pytest.raises(UserError, match="no tile"):
        train(tmp_path, [tmp_path / "none.parquet"], settings_of())
    shutil.rmtree(tmp_path / "state", ignore_errors=True)
    with pytest.raises(UserError, match="not finite"):
        train(tmp_path, drawn.tiles, settings_of(optimiser="sgd", learning_rate=1e30, iterations=4))
    assert not (tmp_path / "b").exists()
    assert not (tmp_path / "backbone.safetensors").exists()


@pytest.mark.real_network
def test_training_begins_with_the_weights_of_method_random(drawn, tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(self_supervised.SelfSupervisedTrainer, "run", lambda self, *_: started.append(self._method.backbone.body.state_dict()) or self._log)
    for method in ("byol", "densecl"):
        train(tmp_path / method, drawn.tiles, settings_of(method))
    random = STAGES["backbone"].validate({"method": "random", "architecture": "resnet18", "calibration_tiles": 2, "calibration_size": 64})
    stage.run(BackboneFiles(tiles=drawn.tiles, output=tmp_path / "random.safetensors"), random, Runtime(device="cpu"))
    with safe_open(tmp_path / "random.safetensors", framework="pt") as file:
        expected = file.get_tensor("layer3.0.conv1.weight")
    assert all(torch.equal(state["layer3.0.conv1.weight"], expected) for state in started)
