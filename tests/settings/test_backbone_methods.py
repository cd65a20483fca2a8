"""Backbone methods: what the registry names, what each depends on, what the workflow hands over."""

from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from mutdet.settings.config import parse_config
from mutdet.settings.errors import UserError
from mutdet.settings.fingerprint import import_closure
from mutdet.settings.layout import Layout
from mutdet.settings.registries import BACKBONE_METHODS, load
from mutdet.settings.stages import STAGES

CONFIG = Path(__file__).parents[2] / "config" / "config.yaml"
FOREIGN = {"imagenet": {}, "random": {}, "checkpoint": {"weights": "x.safetensors"}}
TRAINED = ["byol", "selfemd", "simsiam", "mocov2", "densecl"]


def closure(method: str, **settings: Any) -> set[str]:
    stage = STAGES["backbone"]
    return import_closure(stage.modules(stage.validate({"method": method, **settings})))


def layout(**backbones: dict[str, Any]) -> Layout:
    config = yaml.safe_load(CONFIG.read_text())
    config["backbone"].update(backbones)
    return Layout(parse_config(config))


@pytest.mark.parametrize("method", BACKBONE_METHODS)
def test_lines_name_what_exists(method: str) -> None:
    assert get_args(BACKBONE_METHODS[method].settings_class.model_fields["method"].annotation) == (method,)
    assert callable(load(BACKBONE_METHODS, method))


@pytest.mark.parametrize("method", FOREIGN)
def test_code_of_trainings_decides_nothing_about_other_backbones(method: str) -> None:
    found = closure(method, **FOREIGN[method])
    assert "mutdet.embedding.pretrained_backbones" in found
    assert not [name for name in found if "selfsup" in name or "self_supervised" in name or name.startswith("mutdet.training")]
    others = {f"mutdet.settings.backbones.{other}" for other in TRAINED}
    assert not found & others


@pytest.mark.parametrize("method", TRAINED)
def test_a_training_depends_on_its_own_method_and_not_on_detectors(method: str) -> None:
    found = closure(method)
    assert {f"mutdet.pretraining.selfsup.{method}", "mutdet.training.self_supervised", f"mutdet.settings.backbones.{method}"} <= found
    family = {"selfemd": {"byol"}, "densecl": {"mocov2"}}.get(method, set())
    settings = {name.rsplit(".", 1)[-1] for name in found if name.startswith("mutdet.settings.backbones.")}
    assert settings & set(TRAINED) == {method} | family
    code = {name.rsplit(".", 1)[-1] for name in found if name.startswith(("mutdet.pretraining.selfsup.", "mutdet.training.backbones."))}
    assert code & set(TRAINED) <= {method} | family
    foreign = ("mutdet.detectors", "mutdet.nn.", "mutdet.evaluation", "mutdet.proposals")
    assert {name for name in found if name.startswith(foreign)} == {"mutdet.nn.ranks", "mutdet.proposals.precision"}


def test_only_trained_backbones_have_a_log() -> None:
    found = layout(learned={"method": "selfemd", "architecture": "resnet18", "threads": 3}, random={"method": "random", "architecture": "resnet18"})
    assert "learned" in found.backbones(trained=True)
    assert "random" in found.backbones(trained=False)
    assert found.root / "backbone" / "learned" / "log.parquet" in found.stage_outputs()
    assert found.root / "backbone" / "random" / "log.parquet" not in found.stage_outputs()
    assert found.threads("backbone", "learned") == 3
    assert found.backbone_tiles("learned") == found.tiles("scenes", "unlabelled")


def test_labels_are_read_only_where_a_probe_names_them() -> None:
    learned = {"method": "byol", "architecture": "resnet18"}
    assert layout(learned=learned).backbone_probe("learned") == []
    named = layout(learned={**learned, "probe_dataset": "scenes", "probe_split": "val"})
    assert named.backbone_probe("learned") == named.tiles("scenes", "val")
    with pytest.raises(UserError, match=r"backbone.learned.probe_dataset = 'absent'"):
        layout(learned={**learned, "probe_dataset": "absent"})
    with pytest.raises(UserError, match=r"backbone.learned.probe_split: data set 'scenes' has no split test"):
        layout(learned={**learned, "probe_dataset": "scenes", "probe_split": "test"})


@pytest.mark.parametrize(
    ("method", "published"),
    [
        ("byol", {"epochs": 1000, "optimiser": "lars", "learning_rate": 0.2, "weight_decay": 1.5e-6, "warmup_epochs": 10.0, "average_start": 0.996}),
        ("selfemd", {"epochs": 800, "optimiser": "sgd", "learning_rate": 0.2, "weight_decay": 1e-4, "warmup_epochs": 4.0, "transport_iterations": 10}),
        ("simsiam", {"projection_width": 2048, "prediction_hidden": 512, "learning_rate": 0.05, "weight_decay": 1e-4}),
        ("mocov2", {"queue": 65536, "temperature": 0.2, "average": 0.999, "projection_width": 128, "learning_rate": 0.03}),
        ("densecl", {"queue": 65536, "temperature": 0.2, "average": 0.999, "dense_weight": 0.5}),
    ],
)
def test_defaults_are_the_published_ones(method: str, published: dict[str, Any]) -> None:
    settings = STAGES["backbone"].validate({"method": method})
    assert {name: getattr(settings, name) for name in published} == published


def test_steps_and_warmup_follow_the_number_of_tiles() -> None:
    settings = STAGES["backbone"].validate({"method": "selfemd"})
    assert settings.total_steps(10_000) == 31_250
    assert settings.warmup_steps(10_000) == 156
    assert settings.warmup_steps(0) == 0
    short = STAGES["backbone"].validate({"method": "selfemd", "iterations": 20, "batch": 32})
    assert short.epochs is None
    assert short.warmup_steps(10_000) == 2
    assert short.scaled_learning_rate() == pytest.approx(0.025)
