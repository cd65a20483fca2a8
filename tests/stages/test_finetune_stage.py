"""Pre-training, fine-tuning and detection as stages, on drawn tables."""

import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
import torch
from drawn_tables import CATEGORIES, TINY, draw_tables
from safetensors.torch import load_file

from mutdet.data.subsets import choose_images
from mutdet.detectors.weights import load_detector, save_detector
from mutdet.settings.base import Runtime
from mutdet.settings.detect import DetectMergeFiles, DetectSettings, DetectTilesFiles
from mutdet.settings.errors import UserError
from mutdet.settings.evaluate import EvaluateFiles, EvaluateSettings
from mutdet.settings.finetune import FinetuneFiles, FinetuneSettings
from mutdet.settings.pretrain import PretrainFiles
from mutdet.settings.pretraining.mutdet import MutdetPretrainSettings
from mutdet.settings.pretraining.untrained import UntrainedPretrainSettings
from mutdet.stages import detect, detect_merge, evaluate, finetune, pretrain
from mutdet.tables import tiles
from mutdet.tables.write import write_table

SHORT = {"iterations": 2, "batch": 2, "image_size": 96, "threads": 1, "log_every": 1}
MUTDET = MutdetPretrainSettings(architecture=TINY, enhancement_layers=1, enhancement_width=32, embedding_width=32, **SHORT)
RUNTIME = Runtime(device="cpu")


def _pretrain(drawn, folder, settings=MUTDET):
    files = PretrainFiles(
        tiles=drawn.tiles,
        pseudo_labels=drawn.pseudo_labels,
        backbone=drawn.backbone,
        output=folder / "pretrained.safetensors",
        log=folder / "pretrain_log.parquet",
        state=folder / "state_pretrain",
    )
    pretrain.run(files, settings, RUNTIME)
    return files.output


def _finetune(drawn, folder, detector, **settings):
    output = folder / "finetuned.safetensors"
    files = FinetuneFiles(
        tiles=drawn.tiles,
        images=drawn.images,
        labels=drawn.labels,
        detector=detector,
        output=output,
        log=folder / "log.parquet",
        state=folder / "state",
    )
    finetune.run(files, FinetuneSettings(**{**SHORT, **settings}), RUNTIME)
    return output


def _detect(drawn, folder, detector, **settings):
    chosen = DetectSettings(**settings)
    shards = [folder / f"detections{number}.parquet" for number in range(len(drawn.tiles))]
    for table, output in zip(drawn.tiles, shards, strict=True):
        detect.run_tiles(DetectTilesFiles(tiles=table, detector=detector, output=output), chosen, RUNTIME)
    detect_merge.run(DetectMergeFiles(tiles=shards, output=folder / "detections.parquet"), chosen, RUNTIME)
    return folder / "detections.parquet"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_tables(tmp_path_factory.mktemp("drawn"), 6, shards=2)


@pytest.fixture(scope="module")
def pretrained(drawn, tmp_path_factory):
    return _pretrain(drawn, tmp_path_factory.mktemp("pretrained"))


@pytest.fixture(scope="module")
def finetuned(drawn, pretrained, tmp_path_factory):
    return _finetune(drawn, tmp_path_factory.mktemp("finetuned"), pretrained)


def test_every_shared_weight_is_transferred(finetuned, pretrained):
    report = json.loads(finetuned.with_suffix(".json").read_text())["transfer"]
    assert report["missing"]
    assert all(name.startswith("denoising_labels.") or ".classes." in name for name in report["missing"])
    assert (report["unused"], report["shape_mismatch"]) == ([], [])
    assert set(report["loaded"]) | set(report["missing"]) == set(load_file(finetuned))
    assert set(report["loaded"]) <= set(load_file(pretrained))


def test_training_changes_what_it_should(finetuned, pretrained, drawn):
    backbone, before, after = load_file(drawn.backbone), load_file(pretrained), load_file(finetuned)
    frozen = {name: before[f"backbone.{name}"] for name in backbone if f"backbone.{name}" in before}
    assert len(frozen) > 100
    assert all(torch.equal(value, backbone[name].reshape(value.shape)) for name, value in frozen.items())
    for name in ("backbone.conv1.weight", "backbone.bn1.running_mean", "encoder_head.objectness.weight", "query_content"):
        assert not torch.equal(before[name], after[name]), name


def test_imagenet_backbone_keeps_its_stem_and_statistics(drawn, pretrained, tmp_path):
    source = load_detector(pretrained)
    save_detector(tmp_path / "imagenet.safetensors", source.model, source.categories, {**source.facts, "backbone_method": "imagenet"})
    before, after = load_file(pretrained), load_file(_finetune(drawn, tmp_path, tmp_path / "imagenet.safetensors"))
    kept = [name for name in before if name.startswith("backbone.") and torch.equal(before[name], after[name])]
    assert {"backbone.conv1.weight", "backbone.layer1.0.conv1.weight", "backbone.bn1.running_mean", "backbone.layer3.0.bn1.weight"} <= set(kept)
    assert "backbone.layer2.0.conv1.weight" not in kept


def test_backbone_that_does_not_train_gets_new_statistics_alone(drawn, pretrained, tmp_path):
    before, after = load_file(pretrained), load_file(_finetune(drawn, tmp_path, pretrained, backbone_training="nothing"))
    moved = {name for name in before if name.startswith("backbone.") and not torch.equal(before[name], after[name])}
    assert moved
    assert all("running" in name or "tracked" in name for name in moved)


def test_categories_are_those_of_the_labels(finetuned, pretrained):
    assert load_detector(finetuned).categories == sorted(CATEGORIES)
    assert load_detector(pretrained).categories == ["cluster_0", "cluster_1"]


def test_detections_are_merged_and_sorted(drawn, finetuned, tmp_path):
    rows = pq.read_table(_detect(drawn, tmp_path, finetuned, max_per_image=5)).to_pylist()
    keys = [(row["image_id"], -row["score"]) for row in rows]
    assert keys == sorted(keys)
    assert {row["category"] for row in rows} <= set(CATEGORIES)
    assert max(sum(row["image_id"] == name for row in rows) for name in {row["image_id"] for row in rows}) == 5


def test_boxes_are_in_source_pixels(drawn, finetuned, tmp_path):
    """The same pixels as a tile that lies elsewhere and is twice as fine."""
    table = pq.read_table(drawn.tiles[0])
    rows = [{**row, "x": 1000, "y": 500, "scale": 2.0} for row in table.to_pylist()]
    moved = tmp_path / "moved.parquet"
    write_table(moved, rows, tiles.SCHEMA)
    settings = {"tile_nms": 1.0, "merge_nms": 1.0}
    here = pq.read_table(_detect(replace(drawn, tiles=drawn.tiles[:1]), tmp_path, finetuned, **settings)).to_pylist()
    there = pq.read_table(_detect(replace(drawn, tiles=[moved]), tmp_path, finetuned, **settings)).to_pylist()
    for first, second in zip(here, there, strict=True):
        assert second["cx"] == pytest.approx(1000 + first["cx"] / 2, abs=1e-3)
        assert second["polygon"][1] == pytest.approx(500 + first["polygon"][1] / 2, abs=1e-3)
        assert second["w"] == pytest.approx(first["w"] / 2, abs=1e-3)


def test_no_epochs_keep_the_pretrained_detector(drawn, pretrained, tmp_path):
    settings = {"iterations": None, "epochs": 0}
    passed = _finetune(drawn, tmp_path, pretrained, **settings)
    before, after = load_file(pretrained), load_file(passed)
    assert all(torch.equal(before[name], after[name]) for name in before | after)
    rows = pq.read_table(_detect(drawn, tmp_path, passed)).to_pylist()
    assert {row["category"] for row in rows} == {"object"}
    assert len(pq.read_table(tmp_path / "log.parquet")) == 0


def test_method_none_loads_the_backbone_and_trains_nothing(drawn, tmp_path):
    settings = UntrainedPretrainSettings(architecture=TINY)
    first, second = (load_file(_pretrain(drawn, tmp_path / name, settings)) for name in "ab")
    assert all(torch.equal(first[name], second[name]) for name in first)
    backbone = load_file(drawn.backbone)
    torch.testing.assert_close(first["backbone.layer4.1.conv2.weight"], backbone["layer4.1.conv2.weight"], rtol=0, atol=0)
    other = load_file(_pretrain(drawn, tmp_path / "c", settings.model_copy(update={"seed": 1})))
    assert not torch.equal(first["query_content"], other["query_content"])


def test_labels_never_reach_pretraining(drawn, pretrained, tmp_path):
    """With all labels gone the detector and its log are the same, byte for byte."""
    unlabelled = draw_tables(tmp_path, 6, shards=2)
    for path in unlabelled.tiles:
        write_table(path, [{**row, "labels": []} for row in pq.read_table(path).to_pylist()], tiles.SCHEMA)
    again = _pretrain(unlabelled, tmp_path)
    assert again.read_bytes() == pretrained.read_bytes()
    assert (tmp_path / "pretrain_log.parquet").read_bytes() == (pretrained.parent / "pretrain_log.parquet").read_bytes()


def test_fraction_trains_on_the_images_that_the_seed_of_subsets_chooses(drawn, pretrained, tmp_path):
    classes = {tile_id.split("__")[0]: set(names) for tile_id, names in drawn.names.items()}
    by_seed = [choose_images(classes, 0.5, seed) for seed in range(2)]
    assert by_seed[0] != by_seed[1]
    output = _finetune(drawn, tmp_path, pretrained, fraction=0.5, seed=0, subset_seed=1)
    facts = json.loads(output.with_suffix(".json").read_text())
    assert facts["images"] == by_seed[1]
    assert facts["tiles"] == sum(len(classes[image]) > 0 for image in by_seed[1])


def test_new_heads_follow_from_the_seed(pretrained):
    source = load_detector(pretrained)
    first, again, other = (finetune._model(source, FinetuneSettings(seed=seed), len(CATEGORIES))[0] for seed in (0, 0, 1))
    for name in ("heads.0.classes.weight", "denoising_labels.weight"):
        assert torch.equal(first.get_parameter(name), again.get_parameter(name))
        assert not torch.equal(first.get_parameter(name), other.get_parameter(name))


@pytest.mark.parametrize(("side", "limit", "large"), [(10.0, None, ["car"]), (0.0, 3, ["car", "ship"])], ids=["short sides", "too many"])
def test_small_and_surplus_pseudo_boxes_give_no_target(drawn, tmp_path, side, limit, large):
    """Cars are 10.6 px wide, ships 9.6 px; a tile has four objects or none."""
    settings = MUTDET.model_copy(update={"min_box_side": side, "boxes_per_tile": limit, "iterations": 1, "batch": 1})
    facts = json.loads(_pretrain(drawn, tmp_path, settings).with_suffix(".json").read_text())
    assert facts["objects"] == sum(len([name for name in names if name in large][:limit]) for names in drawn.names.values())


def test_without_bfloat16_trainings_are_those_of_float32_and_say_so(drawn, tmp_path, no_bfloat16):
    trained = {}
    for precision in ("float32", "bfloat16"):
        first = _pretrain(drawn, tmp_path / precision, MUTDET.model_copy(update={"precision": precision}))
        second = _finetune(drawn, tmp_path / precision, first, precision=precision)
        assert {json.loads(path.with_suffix(".json").read_text())["computed_in"] for path in (first, second)} == {"float32"}
        trained[precision] = load_file(first), load_file(second)
    for one, other in zip(*trained.values(), strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_no_labels_are_told(drawn, pretrained, tmp_path):
    with pytest.raises(UserError, match="no image of split train has a label"):
        _finetune(drawn, tmp_path, pretrained, ignore_categories=sorted(CATEGORIES))


def test_backbone_of_another_architecture_is_told(drawn, tmp_path):
    architecture = TINY.model_copy(update={"backbone": "resnet50"})
    with pytest.raises(UserError, match="does not fit the detector's backbone"):
        _pretrain(drawn, tmp_path, UntrainedPretrainSettings(architecture=architecture))


@pytest.mark.slow
def test_overfits_four_images(tmp_path):
    drawn = draw_tables(tmp_path, 4)
    architecture = TINY.model_copy(update={"width": 64, "feed_forward": 128, "denoising_queries": 16})
    start = _pretrain(drawn, tmp_path, UntrainedPretrainSettings(architecture=architecture))
    still = {"flip_horizontal": 0.0, "flip_vertical": 0.0, "flip_diagonal": 0.0}
    detector = _finetune(drawn, tmp_path, start, iterations=60, batch=4, learning_rate=1e-3, slow_factor=0.5, clip_norm=10.0, **still)
    found = _detect(drawn, tmp_path, detector)
    files = EvaluateFiles(detections=found, labels=drawn.labels, images=drawn.images, json=tmp_path / "figures.json")
    evaluate.run(files, EvaluateSettings(split="train"), RUNTIME)
    assert json.loads((tmp_path / "figures.json").read_text())["voc07@0.5"]["mean"] > 0.9
