"""A config of a table compares like with like, and configs of one run share what they can."""

from itertools import combinations
from pathlib import Path

import pytest
import yaml

from mutdet.settings.backbones.self_supervised import SelfSupervisedSettings
from mutdet.settings.config import Config, parse_config
from mutdet.settings.layout import Layout
from mutdet.settings.pretrain import TrainedPretrainSettings
from mutdet.settings.training import BoxTrainingSettings, TrainingSettings

CONFIGS = sorted((Path(__file__).parents[2] / "config" / "tables").glob("*.yaml"))
SECTIONS = ["datasets", "detectors", "masks", "boxes", "backbone", "embed", "codebook", "pretrain", "finetune"]


def read(path: Path) -> Config:
    return parse_config(yaml.safe_load(path.read_text()))


def row_of(experiment: str) -> str:
    return experiment.rsplit("-s", 1)[0]


@pytest.mark.parametrize("path", [path for path in CONFIGS if path.stem != "hituav"], ids=lambda path: path.stem)
def test_every_arm_is_pretrained_alike(path):
    """All configs but hituav.yaml, which compares backbones without pre-training the detector."""
    config = read(path)
    trained = [settings for settings in config.pretrain.values() if isinstance(settings, TrainedPretrainSettings)]
    for kind in (TrainingSettings, BoxTrainingSettings):
        shared = [name for name in kind.model_fields if name != "seed"]
        assert len({str([getattr(one, name) for name in shared]) for one in trained if isinstance(one, kind)}) == 1
    assert len({(one.backbone, one.seed, *one.datasets) for one in trained}) == 1
    assert len({one.backbone for name, one in config.pretrain.items() if not name.startswith("none-")}) == 1


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_experiments_of_one_table_are_fine_tuned_alike(path):
    config = read(path)
    for table in config.tables.values():
        lengths = {}
        for name in table.experiments:
            one = config.finetune[name]
            facts = one.model_dump(exclude={"seed", "pretrain"})
            assert lengths.setdefault((one.fraction, one.epochs, one.iterations), facts) == facts, name


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_tables_have_a_baseline_and_name_their_rows(path):
    config = read(path)
    for table in config.tables.values():
        rows = {row_of(name) for name in table.experiments}
        assert set(table.published) <= rows
        for row in rows:
            seeds = [config.finetune[name] for name in table.experiments if row_of(name) == row]
            assert len({one.seed for one in seeds}) == len(seeds)
            assert len({one.model_copy(update={"seed": 0, "pretrain": row_of(one.pretrain)}).model_dump_json() for one in seeds}) == 1
        lengths = {(config.finetune[name].fraction, config.finetune[name].epochs, config.finetune[name].iterations) for name in table.experiments}
        without = [config.finetune[name] for name in table.experiments if config.pretrain[config.finetune[name].pretrain].method == table.baseline]
        assert {(one.fraction, one.epochs, one.iterations) for one in without} == lengths
        assert {name for name in config.finetune if name not in {n for t in config.tables.values() for n in t.experiments}} == set()


@pytest.mark.parametrize("name", ["hrsc", "hituav"])
def test_backbones_are_compared_on_one_schedule_and_their_own_seeds(name):
    config = read(CONFIGS[0].parent / f"{name}.yaml")
    shared = [field for field in SelfSupervisedSettings.model_fields if field not in ("seed", "method")]
    trained = [one for one in config.backbone.values() if isinstance(one, SelfSupervisedSettings)]
    assert len({one.method for one in trained}) == 2
    assert len({str([getattr(one, field) for field in shared]) for one in trained}) == 1
    for experiment in config.tables["backbones"].experiments:
        tuned = config.finetune[experiment]
        backbone = config.pretrain[tuned.pretrain].backbone
        assert backbone == f"{experiment.split('-')[0]}-s{tuned.seed}"
        assert config.backbone[backbone].seed == tuned.seed


def test_configs_of_one_run_agree_on_variants_of_one_name():
    configs = {path.stem: read(path) for path in CONFIGS}
    compared = 0
    for (first, a), (second, b) in combinations(configs.items(), 2):
        if a.run != b.run:
            continue
        for section in SECTIONS:
            one, other = getattr(a, section), getattr(b, section)
            for name in set(one) & set(other):
                assert one[name] == other[name], f"{section}.{name} of {first} and {second}"
                compared += 1
    assert compared > 20


def test_the_published_figures_are_the_papers():
    figures = {name: table.published for name, table in read(CONFIGS[0].parent / "low_data.yaml").tables.items()}["low_data"]
    assert {row: value.ap50 for row, value in figures.items() if row.startswith("mutdet")} == {
        "mutdet-10": 56.9,
        "mutdet-25": 62.9,
        "mutdet-50": 66.7,
        "mutdet-100": 70.7,
    }


@pytest.mark.parametrize("path", [path for path in CONFIGS if path.stem in ("hrsc", "hituav", "hituav_close")], ids=lambda path: path.stem)
def test_only_fine_tuning_sees_labels(path):
    config = read(path)
    layout = Layout(config)
    inputs = [str(item) for name in config.pretrain for items in layout.pretrain_inputs(name).values() for item in items]
    assert not [item for item in inputs if "/train/" in item or "/val/" in item or "labels.parquet" in item.replace("pseudo_labels", "")]
    assert not any(getattr(one, "probe_dataset", None) for one in config.backbone.values())


def test_a_method_without_pseudo_labels_needs_none():
    config = read(CONFIGS[0].parent / "main_dior_r.yaml")
    layout = Layout(config)
    assert set(layout.pretrain_inputs("updetr")) == {"backbone", "tiles"}
    assert set(layout.pretrain_inputs("none")) == {"backbone"}
    assert set(layout.pretrain_inputs("aligndet")) == {"backbone", "tiles", "pseudo_labels"}
