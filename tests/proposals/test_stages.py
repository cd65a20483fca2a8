"""Stages masks and boxes on small tables."""

import json

import cv2
import numpy as np
import pytest

from mutdet.proposals.mask import decode_mask
from mutdet.settings.base import Runtime
from mutdet.settings.boxes import BoxesFiles, BoxesSettings
from mutdet.settings.errors import UserError
from mutdet.settings.masks import MasksFiles
from mutdet.settings.masks_and_boxes import MasksAndBoxesFiles, MasksAndBoxesSettings
from mutdet.settings.proposals.sam_generator import SamSettings
from mutdet.settings.proposals.selective_search import SelectiveSearchSettings
from mutdet.stages import boxes, masks, masks_and_boxes
from mutdet.tables.read import read_table
from mutdet.tables.tiles import SCHEMA
from mutdet.tables.write import write_table

CPU = Runtime(device="cpu")
SMALL = SamSettings(decoder="fused", points_per_side=3, peaks=8, pred_iou_thresh=0.1, stability_score_thresh=0.1, points_per_batch=8)


def tile(tile_id, image):
    height, width = image.shape[:2]
    encoded = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
    return {
        "tile_id": tile_id, "dataset": "d", "image_id": tile_id.split("__")[0], "x": 0, "y": 0, "width": width, "height": height,
        "scale": 1.0, "content_fraction": 1.0, "image": encoded, "labels": [],
    }  # fmt: skip


@pytest.fixture
def tiles(make_tile):
    names = [f"image{n}__96__0___0" for n in range(4)]
    return [tile(name, make_tile(96, 80 + 20 * n, n)) for n, name in enumerate(names)]


def run_masks(folder, rows, settings=SMALL):
    write_table(folder / "tiles.parquet", rows, SCHEMA)
    masks.run(MasksFiles(tiles=folder / "tiles.parquet", output=folder / "masks.parquet"), settings, CPU)
    return read_table(folder / "masks.parquet").to_pylist()


def run_boxes(folder, **settings):
    boxes.run(BoxesFiles(masks=folder / "masks.parquet", output=folder / "boxes.parquet"), BoxesSettings(masks="m", **settings), CPU)
    return read_table(folder / "boxes.parquet").to_pylist()


@pytest.mark.parametrize("settings", [SMALL, SelectiveSearchSettings(max_proposals=20)], ids=["sam", "selective_search"])
def test_rows_are_consistent_and_sorted(settings, tiles, tmp_path):
    rows = run_masks(tmp_path, tiles, settings)
    assert rows
    keys = [(row["tile_id"], row["mask_id"]) for row in rows]
    assert keys == sorted(keys)
    sizes = {row["tile_id"]: [row["height"], row["width"]] for row in tiles}
    for row in rows:
        pixels = decode_mask(row["size"], row["counts"])
        ys, xs = np.nonzero(pixels)
        assert row["size"] == sizes[row["tile_id"]]
        assert pixels.sum() == row["area"] > 0
        assert row["bbox"] == [xs.min(), ys.min(), np.ptp(xs), np.ptp(ys)]


@pytest.mark.parametrize("settings", [SMALL, SelectiveSearchSettings(max_proposals=20)], ids=["sam", "selective_search"])
def test_shards_change_nothing(settings, tiles, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "c").mkdir()
    together = run_masks(tmp_path / "a", tiles, settings)
    apart = run_masks(tmp_path / "b", tiles[1::2], settings) + run_masks(tmp_path / "c", tiles[0::2], settings)
    assert together == sorted(apart, key=lambda row: (row["tile_id"], row["mask_id"]))


def test_tiles_without_mask(tiles, tmp_path):
    rows = run_masks(tmp_path, tiles, SamSettings(points_per_side=2, pred_iou_thresh=1.0, stability_score_thresh=1.0))
    assert rows == []
    assert run_boxes(tmp_path) == []
    assert json.loads((tmp_path / "masks.json").read_text())["tiles_without_mask"] == 4


def test_no_tiles_at_all(tmp_path):
    assert run_masks(tmp_path, []) == []


def test_boxes_and_what_the_provenance_says(tiles, tmp_path):
    found = run_masks(tmp_path, tiles)
    every = run_boxes(tmp_path, min_side=0, max_area_share=10)
    assert [(row["tile_id"], row["mask_id"]) for row in every] == [(row["tile_id"], row["mask_id"]) for row in found]
    some = run_boxes(tmp_path, min_side=6, min_fill=0.4, nms_thresh=0.5, max_per_tile=3)
    told = json.loads((tmp_path / "boxes.json").read_text())
    assert told["masks"] - sum(told["dropped"].values()) == told["boxes"] == len(some) < len(every)
    assert max(np.unique([row["tile_id"] for row in some], return_counts=True)[1]) <= 3
    by_key = {(row["tile_id"], row["mask_id"]): row for row in found}
    for row in some:
        mask = by_key[row["tile_id"], row["mask_id"]]
        assert row["fill"] == pytest.approx(mask["area"] / (row["w"] * row["h"]), rel=1e-4)
        assert row["score"] == pytest.approx(min(1, mask["predicted_iou"] * mask["stability_score"]), rel=1e-4)
        assert row["mask_area"] == mask["area"]


def test_broken_tile_is_named(tiles, tmp_path):
    tiles[2]["image"] = b"no image"
    with pytest.raises(UserError, match="image2"):
        run_masks(tmp_path, tiles)
    assert not (tmp_path / "masks.parquet").exists()


@pytest.mark.parametrize("settings", [SMALL, SelectiveSearchSettings(max_proposals=20)], ids=["sam", "selective_search"])
def test_one_stage_in_place_of_two_gives_the_same_boxes(settings, tiles, tmp_path):
    run_masks(tmp_path, tiles, settings)
    filters = {"min_side": 6, "min_fill": 0.4, "nms_thresh": 0.5, "max_per_tile": 3}
    expected = run_boxes(tmp_path, **filters)
    files = MasksAndBoxesFiles(tiles=tmp_path / "tiles.parquet", output=tmp_path / "directly.parquet")
    masks_and_boxes.run(files, MasksAndBoxesSettings(masks=settings, **filters), CPU)
    assert read_table(files.output).to_pylist() == expected
    assert expected
    told, expected_told = (json.loads((tmp_path / name).read_text()) for name in ("directly.json", "boxes.json"))
    assert {key: told[key] for key in ("masks", "boxes", "dropped")} == {key: expected_told[key] for key in ("masks", "boxes", "dropped")}
