"""Stage partition: tables, provenance, bad input, sharding."""

import hashlib
import json
import logging
import shutil
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
import tifffile
from PIL import Image

from mutdet.data import shard
from mutdet.settings.base import Runtime
from mutdet.settings.datasets import DatasetSettings, PartitionIndexFiles, PartitionTilesFiles, list_images
from mutdet.settings.errors import UserError
from mutdet.stages.partition import run_index, run_tiles
from mutdet.tables import images as images_table
from mutdet.tables import labels as labels_table
from mutdet.tables import tiles as tiles_table

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "samples"
SIZES = {"P1": (90, 70), "P1__40__30___0": (40, 30), "P1-b": (64, 64), "P2": (30, 41)}
SMALL = {"window": 40, "stride": 30}


@pytest.fixture
def source(tmp_path):
    """Four images, whose tile ids interleave, with labels."""
    random = np.random.default_rng(3)
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for name, (width, height) in SIZES.items():
        Image.fromarray(random.integers(0, 256, (height, width, 3)).astype(np.uint8)).save(tmp_path / "images" / f"{name}.png")
        (tmp_path / "labels" / f"{name}.txt").write_text("imagesource:x\n5 5 15 5 15 12 5 12 ship 0\n25 2 45 2 45 8 25 8 plane 1\n1 1 1 1 1 1 1 1 ship 0\n")
    return tmp_path


def labelled(source, **values):
    return DatasetSettings(images=source / "images", labels=source / "labels", **{"splits": {"train": "all"}, **SMALL, **values})


def tiles(source, dataset, split="train", number=0, shards=1, output="tiles.parquet"):
    path = source / "out" / output
    run_tiles(PartitionTilesFiles(name="mine", split=split, shard=number, shards=shards, output=path), dataset, Runtime())
    return path


def index(source, dataset):
    files = PartitionIndexFiles(name="mine", image_table=source / "out" / "images.parquet", label_table=source / "out" / "labels.parquet")
    run_index(files, dataset, Runtime())
    return pq.read_table(files.image_table).to_pylist(), pq.read_table(files.label_table).to_pylist(), json.loads((source / "out" / "images.json").read_text())


def rows(path):
    return pq.read_table(path).to_pylist()


def provenance(path):
    return json.loads(path.with_suffix(".json").read_text())


def test_tiles_table(source):
    path = tiles(source, labelled(source))
    found = rows(path)
    assert pq.read_schema(path).equals(tiles_table.SCHEMA)
    assert [row["tile_id"] for row in found] == sorted({row["tile_id"] for row in found})
    assert pq.ParquetFile(path).metadata.row_group(0).num_rows <= tiles_table.ROWS_PER_GROUP
    for row in found:
        pixels = cv2.imdecode(np.frombuffer(row["image"], np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]
        original = np.asarray(Image.open(source / "images" / f"{row['image_id']}.png"))
        part = original[row["y"] : row["y"] + 40, row["x"] : row["x"] + 40]
        assert pixels.shape == (row["height"], row["width"], 3) == (40, 40, 3)
        assert (pixels[: part.shape[0], : part.shape[1]] == part).all()
        assert row["content_fraction"] == pytest.approx(part.shape[0] * part.shape[1] / 1600)
        assert row["tile_id"] == f"{row['image_id']}__40__{row['x']}___{row['y']}"
        for item in row["labels"]:
            assert {(5, 5): "ship", (25, 2): "plane"}[item["polygon"][0] + row["x"], item["polygon"][1] + row["y"]] == item["category"]
    background = [row for row in found if not row["labels"]]
    assert background
    first = next(row for row in found if row["tile_id"] == "P1__40__0___0")
    assert first["labels"] == [
        {"polygon": [5, 5, 15, 5, 15, 12, 5, 12], "category": "ship", "difficulty": 0},
        {"polygon": [25, 2, 45, 2, 45, 8, 25, 8], "category": "plane", "difficulty": 2},
    ]


def test_settings_of_a_data_set_decide_its_tiles(tmp_path):
    """At half the size windows begin at 0 and 20; of the ship 60 % lie in the first, all of it in the second."""
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    values = np.array([10, 20, 30, 40], np.uint16)[:, None, None] * np.full((60, 100), 257, np.uint16)
    tifffile.imwrite(tmp_path / "images" / "P1.tif", values, photometric="minisblack", planarconfig="separate")
    (tmp_path / "labels" / "P1.txt").write_text("68 10 88 10 88 20 68 20 ship 0\n")
    chosen = {"scales": [0.5], "bands": (4, 2, 1), "stretch": "range", "pad_colour": (255, 0, 0), "label_fraction": 0.5}
    found = rows(tiles(tmp_path, labelled(tmp_path, **chosen)))
    assert [(row["x"], row["scale"]) for row in found] == [(0, 0.5), (20, 0.5)]
    for row in found:
        pixels = cv2.imdecode(np.frombuffer(row["image"], np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]
        assert (pixels[:30] == (40, 20, 10)).all()
        assert (pixels[30:] == (255, 0, 0)).all()
    ships = [[(item["polygon"], item["difficulty"]) for item in row["labels"]] for row in found]
    assert ships == [[([34, 5, 44, 5, 44, 10, 34, 10], 2)], [([24, 5, 34, 5, 34, 10, 24, 10], 0)]]


def test_ids_that_interleave_are_sorted(source):
    owners = [row["image_id"] for row in rows(tiles(source, labelled(source)))]
    assert sum(a != b for a, b in pairwise(owners)) > len(SIZES) - 1


def test_counts_of_the_provenance(source):
    path = tiles(source, labelled(source))
    counts = provenance(path)["counts"]
    found = rows(path)
    assert counts["images"] == 4
    assert counts["tiles"] == len(found)
    assert counts["kept_objects"] == sum(len(row["labels"]) for row in found)
    assert counts["truncated_objects"] == sum(item["difficulty"] == 2 for row in found for item in row["labels"])
    assert counts["zero_area_labels"] == 4
    assert counts["objects"] == 8
    assert counts["padded_tiles"] == sum(row["content_fraction"] < 1 for row in found)
    assert counts["bad_images"] == counts["bad_labels"] == 0


@pytest.fixture
def mosaic(source):
    """All of P2 is transparent, and P1, 90 px wide, from some column on."""

    def transparent_from(column):
        for name, transparent in (("P1", slice(column, None)), ("P2", slice(None))):
            path = source / "images" / f"{name}.png"
            pixels = np.dstack([np.asarray(Image.open(path)), np.full(SIZES[name][::-1], 255, np.uint8)])
            pixels[:, transparent, 3] = 0
            Image.fromarray(pixels).save(path)
        return source

    return transparent_from


def test_tiles_without_data_are_dropped(mosaic, caplog):
    source = mosaic(38)
    path = tiles(source, labelled(source))
    found = {row["tile_id"]: row["content_fraction"] for row in rows(path) if row["image_id"] in ("P1", "P2")}
    # Columns begin at 0, 30 and 50; what the middle one holds, the first holds too.
    assert found == {"P1__40__0___0": pytest.approx(0.95), "P1__40__0___30": pytest.approx(0.95)}
    counts = provenance(path)["counts"]
    assert counts["images"] == 3
    assert counts["images_without_data"] == 1
    assert counts["dropped_windows"] == 4 + 2
    assert "P2.png: holds no data" in caplog.text


def test_tiles_with_little_data_stay_where_no_other_tile_has_it(mosaic):
    source = mosaic(50)
    found = {row["tile_id"]: row["content_fraction"] for row in rows(tiles(source, labelled(source)))}
    assert found["P1__40__30___0"] == pytest.approx(0.5)
    assert not any(tile_id.startswith(("P1__40__50", "P2__")) for tile_id in found)


def test_a_split_without_any_data_gives_an_empty_table(mosaic):
    source = mosaic(50)
    assert rows(tiles(source, labelled(source, splits={"train": ["P2"], "unlabelled": "all"}))) == []


@pytest.mark.parametrize("shards", [2, 3, 7])
def test_shards_together_are_the_whole(source, shards):
    dataset = labelled(source, scales=[1.0, 0.5])
    whole = rows(tiles(source, dataset))
    parts = [row for number in range(shards) for row in rows(tiles(source, dataset, "train", number, shards, f"{number}.parquet"))]
    assert sorted(parts, key=lambda row: row["tile_id"]) == whole


def test_bytes_depend_on_the_rows_alone(source, monkeypatch):
    dataset = labelled(source)
    first = tiles(source, dataset).read_bytes()
    monkeypatch.setattr(shard, "_SPOOL_MEMORY", 1)  # everything goes through a temporary file
    assert tiles(source, dataset, output="again.parquet").read_bytes() == first
    assert sorted(path.name for path in (source / "out").iterdir()) == ["again.json", "again.parquet", "tiles.json", "tiles.parquet"]


def test_unlabelled_never_opens_a_label(source):
    before = tiles(source, labelled(source), "unlabelled").read_bytes()
    for path in (source / "labels").iterdir():
        path.write_bytes(b"\xff not a label")
    assert tiles(source, labelled(source), "unlabelled").read_bytes() == before
    shutil.rmtree(source / "labels")
    assert tiles(source, labelled(source), "unlabelled").read_bytes() == before
    alone = DatasetSettings(images=source / "images", **SMALL)
    path = tiles(source, alone, "unlabelled")
    assert path.read_bytes() == before
    assert all(row["labels"] == [] for row in rows(path))
    images, labels, _ = index(source, alone)
    assert {tuple(row["split"]) for row in images} == {("unlabelled",)}
    assert labels == []


def test_test_split_without_labels(source):
    dataset = DatasetSettings(images=source / "images", splits={"test": "all"}, **SMALL)
    assert all(row["labels"] == [] for row in rows(tiles(source, dataset, "test")))


def test_index(source):
    images, labels, facts = index(source, labelled(source, splits={"train": ["P1"], "val": ["P2"], "unlabelled": ["P1", "P1-b"]}))
    assert pq.read_schema(source / "out" / "images.parquet").equals(images_table.SCHEMA)
    assert pq.read_schema(source / "out" / "labels.parquet").equals(labels_table.SCHEMA)
    assert [(row["image_id"], row["split"]) for row in images] == [("P1", ["train", "unlabelled"]), ("P1-b", ["unlabelled"]), ("P2", ["val"])]
    assert (images[0]["width"], images[0]["height"], images[0]["bands"], images[0]["crs"]) == (90, 70, 3, None)
    assert images[0]["sha256"] == hashlib.sha256((source / "images" / "P1.png").read_bytes()).hexdigest()
    assert [(row["image_id"], row["label_id"], row["category"], row["difficulty"]) for row in labels] == [
        (name, number, category, number) for name in ("P1", "P2") for number, category in enumerate(["ship", "plane"])
    ]
    assert labels[1]["polygon"] == [25, 2, 45, 2, 45, 8, 25, 8]
    assert facts["counts"]["zero_area_labels"] == 2


def test_path_is_relative_below_the_working_folder(source, monkeypatch):
    monkeypatch.chdir(source)
    images, _, _ = index(source, labelled(Path()))
    assert images[0]["path"] == "images/P1.png"
    monkeypatch.chdir(source / "labels")
    images, _, _ = index(source, labelled(Path("..")))
    assert images[0]["path"] == (source / "images" / "P1.png").as_posix()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


def spoil_labels(path):
    path.write_text(path.read_text() + "1 2 3 4 5 6 7 ship 0\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda source: truncate(source / "images" / "P2.png"), ["P2.png: is no whole image"]),
        (lambda source: (source / "images" / "P2.png").write_bytes(b""), ["P2.png: image file is empty"]),
        (lambda source: (source / "images" / "P2.png").write_text("no"), ["P2.png: is no whole image"]),
        (lambda source: spoil_labels(source / "labels" / "P2.txt"), ["P2.txt: line 5: coordinate 8 is 'ship'"]),
        (lambda source: (source / "labels" / "P2.txt").unlink(), ["labels: image P2: label file P2.txt is missing"]),
        (lambda source: (source / "labels" / "P2.txt").write_bytes(b"\xff\xfe"), ["P2.txt: is no readable text file"]),
    ],
)
def test_bad_input_stops_and_leaves_nothing(source, spoil, words):
    spoil(source)
    with pytest.raises(UserError) as told:
        tiles(source, labelled(source))
    assert all(word in str(told.value) for word in words)
    assert "\n" not in str(told.value)
    assert not any((source / "out").glob("*") if (source / "out").exists() else [])


def test_bad_input_is_skipped_counted_and_listed(source, caplog):
    truncate(source / "images" / "P2.png")
    spoil_labels(source / "labels" / "P1.txt")
    (source / "labels" / "P1-b.txt").unlink()
    dataset = labelled(source, on_error="skip")
    caplog.set_level(logging.WARNING, "mutdet")
    path = tiles(source, dataset)
    assert {row["image_id"] for row in rows(path)} == {"P1", "P1__40__30___0"}
    facts = provenance(path)
    assert (facts["counts"]["images"], facts["counts"]["bad_images"], facts["counts"]["bad_labels"]) == (2, 2, 1)
    assert facts["counts"]["tiles"] == len(rows(path))
    assert {entry.split(":")[0].rsplit("/")[-1] for entry in facts["bad_images"]} == {"P2.png", "labels"}
    assert "line 5" in facts["bad_labels"][0]
    assert "P2.png" in caplog.text
    images, labels, index_facts = index(source, dataset)
    assert [(row["image_id"], row["split"]) for row in images] == [
        ("P1", ["train", "unlabelled"]),
        ("P1-b", ["unlabelled"]),
        ("P1__40__30___0", ["train", "unlabelled"]),
    ]
    assert {row["image_id"] for row in labels} == {"P1", "P1__40__30___0"}
    assert index_facts["counts"]["bad_images"] == 2
    unlabelled = tiles(source, dataset, "unlabelled", output="unlabelled.parquet")
    assert {row["image_id"] for row in rows(unlabelled)} == {"P1", "P1-b", "P1__40__30___0"}


def test_train_and_val_that_overlap_are_told(source, caplog):
    index(source, labelled(source, splits={"train": "all", "val": ["P1"]}))
    assert "1 images are in train and in val or test, such as P1" in caplog.text


def test_empty_shard_is_an_empty_table(source):
    dataset = labelled(source, splits={"train": ["P1"]})
    parts = [rows(tiles(source, dataset, "train", number, 9, f"{number}.parquet")) for number in range(9)]
    assert sorted(map(bool, parts)) == [False] * 8 + [True]


@pytest.mark.skipif(not SHARED.is_dir(), reason="shared/data/samples is not on this machine")
def test_real_images(tmp_path):
    chosen = ["dota__P0004", "dota__P0706", "hrsc__100000753", "hituav__0_120_50_0_05379", "dota__P1142__1024__0___824"]
    names = [image.image_id for image in list_images(DatasetSettings(images=SHARED / "images"), "samples")]
    chosen = [name for name in chosen if name in names]
    assert chosen
    dataset = DatasetSettings(images=SHARED / "images", labels=SHARED / "labelTxt", splits={"train": chosen}, scales=[1.0, 0.5])
    found = rows(tiles(tmp_path, dataset))
    images, labels, facts = index(tmp_path, dataset)
    assert {row["image_id"] for row in found} == {row["image_id"] for row in images} == set(chosen)
    assert len({row["tile_id"] for row in found}) == len(found)
    assert facts["counts"]["bad_images"] == facts["counts"]["bad_labels"] == 0
    originals = [(row["image_id"], row["category"], *row["polygon"]) for row in labels]
    moved = [
        (row["image_id"], item["category"], *(np.array(item["polygon"]) / row["scale"] + [row["x"], row["y"]] * 4)) for row in found for item in row["labels"]
    ]
    seen = set()
    for image_id, category, *polygon in moved:
        same = [number for number, other in enumerate(originals) if other[:2] == (image_id, category)]
        offsets = np.abs(np.array([originals[number][2:] for number in same]) - polygon).max(axis=1)
        assert offsets.min() < 0.01
        seen.add(same[int(offsets.argmin())])
    assert len(seen) > 0.9 * len(originals)
