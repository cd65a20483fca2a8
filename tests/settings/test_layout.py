"""Which files a shard is cut from."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from mutdet.settings.config import parse_config
from mutdet.settings.datasets import LABEL_SETTINGS, DatasetSettings, select_images
from mutdet.settings.errors import UserError
from mutdet.settings.layout import Layout
from mutdet.settings.proposals.sam_generator import SMALL_WEIGHTS

REPOSITORY = Path(__file__).parents[2]


def demo(**sections: dict[str, Any]) -> Layout:
    """The default config with other sections or more of their variants; data sets of folders are never opened."""
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())
    return Layout(parse_config({**config, **{name: {**config.get(name, {}), **section} for name, section in sections.items()}}))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    splits = {"train": [f"image{number}" for number in range(30)], "val": [f"image{number}" for number in range(30, 40)]}
    for folder, suffix in (("images", "png"), ("labels", "txt")):
        (tmp_path / folder).mkdir()
        for name in [*splits["train"], *splits["val"]]:
            (tmp_path / folder / f"{name}.{suffix}").touch()
    dataset = {"images": tmp_path / "images", "labels": tmp_path / "labels", "splits": splits}
    return Layout(parse_config({"run": "run", "shards": 4, "datasets": {"set": dataset}}))


@pytest.mark.parametrize("split", ["unlabelled", "train", "val"])
def test_a_shard_is_cut_from_the_images_that_its_stage_will_choose(layout, split):
    for number, shard in enumerate(layout.shards):
        chosen = select_images(layout.sources("set"), split, number, len(layout.shards))
        files = layout.source_files("set", split, shard)
        assert files["images"] == [image.path for image in chosen]
        assert files["labels"] == ([] if split == "unlabelled" else [image.label for image in chosen])


def test_an_unlabelled_shard_reads_no_label_and_an_empty_one_nothing(layout):
    assert all(layout.source_files("set", "unlabelled", shard)["labels"] == [] for shard in layout.shards)
    assert layout.source_files("set", "test", layout.shards[0]) == {"images": [], "labels": []}


def test_one_label_file_of_split_test_decides_for_all_its_shards(layout, tmp_path):
    names = [f"test{number}" for number in range(9)]
    for name in names:
        (tmp_path / "images" / f"{name}.png").touch()
    config = {**layout.config.model_dump(mode="json", exclude_unset=True)}
    config["datasets"]["set"].update(splits={"test": names}, on_error="skip")
    assert not Layout(parse_config(config)).labelled("set", "test")
    (tmp_path / "labels" / "test4.txt").touch()
    found = Layout(parse_config(config))
    assert found.labelled("set", "test")
    assert sum(bool(found.source_files("set", "test", shard)["labels"]) for shard in found.shards) == 1
    assert not found.labelled("set", "unlabelled")


GIVEN: dict[str, Any] = {"images": "images", "labels": "labels", "splits": {"train": "train.txt", "val": ["a"]}}


def deciding(**changes: Any) -> dict[str, tuple[str, str]]:
    """What decides the tiles of each split of a data set."""
    found = Layout(parse_config({"run": "run", "datasets": {"set": {**GIVEN, **changes}}}))
    return {split: (found.settings_json("partition tiles", "set", split), found.code("partition tiles", "set", split)) for split in found.splits("set")}


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        ({"splits": {**GIVEN["splits"], "test": "test.txt"}}, set()),
        ({"splits": {**GIVEN["splits"], "unlabelled": "train.txt"}}, set()),
        ({"splits": {**GIVEN["splits"], "unlabelled": "all"}}, {"unlabelled"}),
        ({"splits": {**GIVEN["splits"], "train": "more.txt"}}, {"unlabelled", "train"}),
        ({"splits": {**GIVEN["splits"], "val": ["a", "b"]}}, {"val"}),
        ({"format": "dior_r"}, {"train", "val"}),
        ({"labels": "corrected"}, {"train", "val"}),
        ({"label_fraction": 0.5}, {"train", "val"}),
        ({"categories": ["ship"]}, {"train", "val"}),
        ({"ignore_categories": ["ship"]}, {"train", "val"}),
        ({"on_unknown_category": "skip"}, {"train", "val"}),
        ({"on_zero_area": "error"}, {"train", "val"}),
        *(
            ({name: value}, {"unlabelled", "train", "val"})
            for name, value in {
                "images": "others",
                "window": 900,
                "stride": 500,
                "scales": [0.5],
                "content_fraction": 0.5,
                "pad_colour": [0, 0, 0],
                "bands": [1, 2, 3],
                "stretch": "range",
                "on_error": "skip",
            }.items()
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else " ".join(sorted(value)),
)
def test_tiles_of_a_split_depend_on_what_they_are_cut_from(change, changed):
    before, after = deciding(), deciding(**change)
    assert {split for split in before if before[split] != after[split]} == changed


def test_every_setting_of_a_data_set_is_known_to_decide_tiles_or_labels_alone():
    images = {"images", "window", "stride", "scales", "content_fraction", "pad_colour", "bands", "stretch", "on_error"}
    assert {*LABEL_SETTINGS, *images, "scenes", "splits"} == set(DatasetSettings.model_fields)


def test_tiles_of_a_split_have_settings_that_a_stage_accepts():
    found = Layout(parse_config({"run": "run", "datasets": {"set": GIVEN}}))
    read = {split: DatasetSettings.model_validate_json(found.settings_json("partition tiles", "set", split)) for split in ("unlabelled", "train", "test")}
    assert {split: list(settings.splits) for split, settings in read.items()} == {"unlabelled": ["unlabelled"], "train": ["train"], "test": []}
    assert read["unlabelled"].splits["unlabelled"] == read["train"].splits["train"] == Path("train.txt")


def test_masks_depend_on_the_weights_that_they_load(tmp_path, monkeypatch):
    named = tmp_path / "vit_h.pth"
    named.touch()
    variants = {"own": {"generator": "sam"}, "named": {"generator": "sam", "model": "vit_h", "weights": str(named), "sha256": "0" * 64}}
    boxes = {name: {"masks": name, "keep_masks": False} for name in variants}
    found = demo(masks={**variants, "none": {"generator": "selective_search"}}, boxes={**boxes, "none": {"masks": "none", "keep_masks": False}})
    monkeypatch.chdir(tmp_path)
    assert SMALL_WEIGHTS.is_file()
    for stage in ("masks", "masks_and_boxes"):
        assert {name: found.weights(stage, name) for name in (*variants, "none")} == {"own": [SMALL_WEIGHTS], "named": [named], "none": []}
    monkeypatch.chdir(REPOSITORY)
    assert found.weights("masks", "own") == [SMALL_WEIGHTS.relative_to(REPOSITORY)]


def test_a_training_of_several_processes_starts_with_torchrun():
    config = yaml.safe_load((Path(__file__).parents[2] / "config/config.yaml").read_text())
    small = {**config["pretrain"]["mutdet"], "batch": 8}
    spreads = {"one": small, "two": {**small, "processes": 2, "threads": 3}, "spread": {**small, "processes": 4, "threads": 3, "nodes": 2}}
    config["pretrain"].update(spreads)
    config["finetune"]["untouched"] = {"pretrain": "two", "epochs": 0, "processes": 2, "batch": 2}
    found = Layout(parse_config({**config, "runtime": {"device": "cuda"}}))
    assert found.launcher("pretrain", "one") == "mutdet"
    assert found.launcher("pretrain", "two") == "torchrun --standalone --nproc-per-node 2 -m -- mutdet"
    assert found.launcher("pretrain", "spread").startswith("srun --ntasks 2 --ntasks-per-node 1 torchrun --nnodes 2 --nproc-per-node 2 ")
    assert found.launcher("finetune", "untouched") == "mutdet"
    assert [found.gpus("pretrain", name) for name in (*spreads, "none")] == [1, 2, 4, 0]
    assert found.gpus("finetune", "untouched") == 0
    assert [found.threads("pretrain", name) for name in ("two", "spread")] == [6, 6]


def test_the_split_that_is_detected_is_evaluated_with_its_data_sets_ignored_categories():
    dataset = {**GIVEN, "splits": {"test": "all"}, "ignore_categories": ["buoy"]}
    sections = {
        "backbone": {"random": {"method": "random", "architecture": "resnet18"}},
        "detectors": {"small": {"backbone": "resnet18"}},
        "pretrain": {"none": {"method": "none", "backbone": "random", "detector": "small"}},
        "finetune": {"untouched": {"pretrain": "none", "dataset": "set", "epochs": 0}},
    }
    found = Layout(parse_config({"run": "run", "datasets": {"set": dataset}, "detect": {"split": "test"}, **sections}))
    evaluated = found.settings("evaluate", "untouched")
    assert (evaluated.split, evaluated.ignore_categories) == ("test", ["buoy"])
    assert [found.detect_tiles("untouched", shard) for shard in found.shards] == found.tiles("set", "test")


def test_one_job_for_masks_and_boxes_has_the_settings_of_both():
    filters = {"min_side": 7.0, "min_fill": 0.3, "nms_thresh": 0.4, "max_per_tile": 9}
    found = demo(boxes={"together": {"masks": "sam_small", "keep_masks": False, **filters}})
    settings = found.settings("masks_and_boxes", "together")
    assert settings.masks == found.config.masks["sam_small"]
    assert settings.model_dump(include=set(filters)) == filters


def test_variants_read_the_data_sets_and_the_split_that_they_name():
    more = {**LABELLED, "splits": {"train": "all", "val": "all"}}
    taught = {**yaml.safe_load((REPOSITORY / "config/config.yaml").read_text())["pretrain"]["mutdet"], "datasets": ["more"]}
    probed = {"method": "byol", "datasets": ["scenes"], "probe_dataset": "more", "probe_split": "val"}
    found = demo(datasets={"more": more}, backbone={"probed": probed}, pretrain={"taught": taught})
    assert found.backbone_tiles("probed") == found.tiles("scenes", "unlabelled")
    assert found.backbone_probe("probed") == found.tiles("more", "val")
    inputs = found.pretrain_inputs("taught")
    assert inputs["tiles"] == found.tiles("more", "unlabelled")
    assert inputs["pseudo_labels"] == found.shards_of("pseudo_labels", "k32", ["more"])


BARE = {"images": "images", "splits": {"unlabelled": "all"}}
LABELLED = {"images": "images", "labels": "labels"}
TRAINED = {"pretrain": "none", "epochs": 1}


@pytest.mark.parametrize(
    ("dataset", "sections", "told"),
    [
        (BARE, {"finetune": {"new": {**TRAINED, "dataset": "more"}}}, "finetune.new: data set 'more' has no split train, but unlabelled;"),
        ({**LABELLED, "splits": {"val": "all"}}, {"finetune": {"new": {**TRAINED, "dataset": "more"}}}, "finetune.new: data set 'more' has no split train"),
        (
            {**LABELLED, "splits": {"train": "all"}},
            {"finetune": {"new": {**TRAINED, "dataset": "more"}}},
            "detect.split, for finetune.new: data set 'more' has no split val, but unlabelled, train",
        ),
        (BARE, {"finetune": {"new": {"pretrain": "none", "epochs": 0, "dataset": "more"}}}, "detect.split, for finetune.new"),
        (BARE, {"detect": {"split": "test"}}, "detect.split, for finetune.none-0: data set 'scenes' has no split test, but unlabelled, train, val"),
        (
            {**LABELLED, "splits": {"val": "all"}},
            {"codebook": {"new": {"embed": "sam", "datasets": ["scenes", "more"]}}},
            "codebook.new.datasets: data set 'more'",
        ),
        ({**LABELLED, "splits": {"test": "all"}}, {"backbone": {"new": {"method": "byol", "datasets": ["more"]}}}, "backbone.new.datasets: data set 'more'"),
        (
            {**LABELLED, "splits": {"test": "all"}},
            {"pretrain": {"new": {"method": "updetr", "detector": "small", "backbone": "selfemd", "datasets": ["more"]}}},
            "pretrain.new.datasets: data set 'more' has no split unlabelled, but test",
        ),
        ({"scenes": "small"}, {"finetune": {"new": {**TRAINED, "dataset": "more"}}}, "detect.split, for finetune.new: data set 'more' has no split val"),
    ],
)
def test_a_split_that_does_not_exist_stops_the_run_before_any_job(dataset, sections, told):
    with pytest.raises(UserError) as error:
        demo(scenes={"small": {"train": 3, "val": 0}}, datasets={"more": dataset}, **sections)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("dataset", "sections"),
    [
        (BARE, {"codebook": {"new": {"embed": "sam", "components": 256, "datasets": ["more"]}}}),
        ({"images": "images"}, {"backbone": {"new": {"method": "byol", "datasets": ["more"]}}}),
        ({**LABELLED, "splits": {"train": "all"}}, {"codebook": {"new": {"embed": "sam", "datasets": ["more"]}}}),
        ({**LABELLED, "splits": {"val": "all"}}, {"finetune": {"new": {"pretrain": "none", "epochs": 0, "dataset": "more"}}}),
        ({**LABELLED, "splits": {"val": "all"}}, {"backbone": {"new": {"method": "imagenet", "datasets": ["more"]}}}),
        ({**LABELLED, "splits": {"train": "all", "val": "all"}}, {"finetune": {"new": {**TRAINED, "dataset": "more"}}}),
        ({"scenes": "demo"}, {"finetune": {"new": {**TRAINED, "dataset": "more"}}}),
        ({"scenes": "small"}, {"codebook": {"new": {"embed": "sam", "datasets": ["more"]}}}),
    ],
)
def test_splits_that_exist_or_are_not_read_are_no_error(dataset, sections):
    assert demo(scenes={"small": {"train": 3, "val": 0}}, datasets={"more": dataset}, **sections).datasets("codebook", "k32")


def test_scenes_without_images_for_val_have_no_such_split():
    found = demo(scenes={"small": {"train": 3, "val": 0}}, datasets={"more": {"scenes": "small"}})
    assert found.splits("more") == ["unlabelled", "train"]
    assert [path.name for path in found.split_files("more")] == ["train.txt"]
    assert [path.name for path in found.scene_files("small")["splits"]] == ["train.txt", "val.txt"]


@pytest.mark.parametrize("path", sorted((REPOSITORY / "config").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_reads_splits_that_exist(path):
    config = yaml.safe_load(path.read_text())
    if "datasets" in config:
        assert Layout(parse_config(config)).root.name == config["run"]
