"""A wrong config is told in one line that names key, value and what is allowed."""

from pathlib import Path

import pytest
import yaml

from mutdet.settings.config import FILLED_IN, Config, parse_config
from mutdet.settings.errors import UserError
from mutdet.settings.layout import PICTURES, Layout
from mutdet.settings.stages import STAGES

REPOSITORY = Path(__file__).parents[2]


def default_config():
    return yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())


@pytest.mark.parametrize("path", sorted((REPOSITORY / "config").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_configs_are_valid(path):
    assert parse_config(yaml.safe_load(path.read_text())).run == path.stem.replace("config", "demo")


def test_own_images_need_no_labels():
    config = yaml.safe_load((REPOSITORY / "config/own_images.yaml").read_text())
    (dataset,) = config["datasets"].values()
    del config["finetune"], config["tables"], dataset["labels"], dataset["splits"]["train"], dataset["splits"]["val"]
    found = Layout(parse_config(config))
    assert found.splits("mine") == ["unlabelled"]
    assert found.pretrain_inputs("mutdet")["tiles"]


@pytest.mark.parametrize("path", sorted((REPOSITORY / "config/demo").glob("*.yaml")), ids=lambda path: path.stem)
def test_sections_laid_over_the_demo_are_valid(path):
    over, under = yaml.safe_load(path.read_text()), default_config()
    merged = {section: {**under.get(section, {}), **value} if isinstance(value, dict) else value for section, value in over.items()}
    assert parse_config({**under, **merged}).run == path.stem


@pytest.mark.parametrize(
    ("keys", "value", "told"),
    [
        (["boxes", "sam", "min_sides"], 3, "boxes.sam.min_sides = 3: is an unknown key"),
        (["boxes", "sam", "min_side"], "wide", "boxes.sam.min_side = 'wide'"),
        (["boxes", "sam", "min_side"], -1, "greater than or equal to 0"),
        (["embed", "sam", "backbone"], "absent", "embed.sam.backbone = 'absent': no such variant in section backbone; choose one of"),
        (["finetune", "none-0", "dataset"], "absent", "no such variant in section datasets"),
        (["pretrain", "mutdet", "datasets"], ["absent"], "no such variant in section datasets"),
        (["pretrain", "mutdet", "method"], "magic", "pretrain.mutdet"),
        (["finetune", "none-25-s0", "fraction"], 1.5, "less than or equal to 1"),
        (["codebook", "k32", "components"], 64, "codebook.k32.components = 64"),
        (["run"], "a/b", "run = 'a/b'"),
        (["masks", "a/b"], {"generator": "sam"}, "a/b"),
        (["shards"], 0, "shards = 0"),
        (["datsets"], {}, "datsets"),
        (["detectors", "small", "width"], 100, "width 100 is no multiple"),
        (["evaluate"], {"split": "val"}, "evaluate.split: the workflow takes it from detect.split"),
        (["evaluate"], {"experiment": "mine"}, "evaluate.experiment: the workflow takes it from the variant's name under finetune"),
        (["evaluate"], {"epochs": None}, "evaluate.epochs: the workflow takes it from finetune.<variant>.epochs"),
        (["finetune", "none-0", "ignore_categories"], ["ship"], "finetune.none-0.ignore_categories: the workflow takes it from datasets.<data set>.ignore"),
        (["pretrain", "mutdet", "architecture"], {"queries": 7}, "pretrain.mutdet.architecture: the workflow takes it from the variant of detectors"),
        (["report"], {"budgets": {"masks": 1}}, "report.budgets: the workflow takes it from budget"),
    ],
)
def test_one_line_names_key_and_value(keys, value, told):
    config = default_config()
    place = config
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    with pytest.raises(UserError) as error:
        parse_config(config)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("stage", [name for name in STAGES if name.split()[0] in Config.model_fields and name != "report tiles"])
def test_a_config_may_not_set_what_the_workflow_fills_in(stage):
    layout = Layout(parse_config(default_config()))
    section = stage.split()[0]
    found = getattr(layout.config, section)
    variant = next(iter(found)) if isinstance(found, dict) else "none-0"
    given = found[variant] if isinstance(found, dict) else found
    assert layout.settings(stage, variant).model_fields_set - given.model_fields_set == set(FILLED_IN.get(section, ()))


def test_every_path_of_the_layout_is_named_once():
    outputs = Layout(parse_config(default_config())).stage_outputs()
    assert len(outputs) == len(set(outputs))


def test_an_unlabelled_split_reads_no_label():
    layout = Layout(parse_config(default_config()))
    for shard in layout.shards:
        assert layout.source_files("scenes", "unlabelled", shard)["labels"] == []
        assert len(layout.source_files("scenes", "train", shard)["labels"]) == len(layout.source_files("scenes", "train", shard)["images"])


def test_shards_share_the_images_out():
    layout = Layout(parse_config(default_config()))
    shared = [path for shard in layout.shards for path in layout.source_files("scenes", "train", shard)["images"]]
    assert sorted(shared) == sorted(layout.root / "scenes/demo/images" / f"scene_train_{i:05d}.png" for i in range(40))


def test_the_facts_of_an_experiment_label_its_evaluation():
    settings = Layout(parse_config(default_config())).settings("evaluate", "mutdet-25-s0")
    assert (settings.experiment, settings.pretrain, settings.fraction, settings.seed, settings.dataset) == ("mutdet-25-s0", "mutdet", 0.25, 0, "scenes")


def test_pictures_prefer_labelled_tiles_and_boxes_where_there_are_none(tmp_path):
    config = default_config()
    (tmp_path / "images").mkdir()
    config["datasets"]["plain"] = {"images": str(tmp_path / "images")}
    layout = Layout(parse_config(config))
    assert set(layout.report_tiles_inputs("scenes")) == {"unlabelled", "train"}
    assert set(layout.report_tiles_inputs("plain")) == {"unlabelled", "boxes"}
    assert layout.report_tiles_inputs("plain")["boxes"] == layout.shards_of("boxes", "sam", ["plain"])


def test_detectors_run_on_the_tiles_of_the_pictures_and_on_the_evaluated_split():
    layout = Layout(parse_config(default_config()))
    assert layout.detect_tiles("none-0", PICTURES) == layout.root / "report/tiles/scenes.parquet"
    assert [layout.detect_tiles("none-0", shard) for shard in layout.shards] == layout.tiles("scenes", "val")
    assert len(layout.pictures()) == 1 + len(layout.config.finetune)
