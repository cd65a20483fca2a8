"""Detections of overlapping tiles become those of whole images."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from mutdet.geometry.rotated_boxes import corners
from mutdet.settings.base import Runtime
from mutdet.settings.detect import DetectMergeFiles, DetectSettings
from mutdet.stages import detect_merge
from mutdet.tables.detections import TILE_SCHEMA
from mutdet.tables.write import write_table


def seen(tile: str, cx: float, score: float, image: str = "a", category: str = "ship") -> dict[str, object]:
    """An object 30 px long, as one tile of an image sees it."""
    box = {"cx": cx, "cy": 40.0, "w": 30.0, "h": 10.0, "angle": 0.0}
    polygon = corners(np.array([list(box.values())])).reshape(8).tolist()
    return {"tile_id": tile, "dataset": "toy", "image_id": image, **box, "polygon": polygon, "score": score, "category": category}


def merged_scores(folder: Path, rows: list[dict[str, object]], **settings: float) -> list[float]:
    write_table(folder / "tiles.parquet", rows, TILE_SCHEMA)
    files = DetectMergeFiles(tiles=[folder / "tiles.parquet"], output=folder / "merged.parquet")
    detect_merge.run(files, DetectSettings(**settings), Runtime())
    scores: list[float] = pq.read_table(files.output)["score"].to_pylist()
    return scores


@pytest.mark.parametrize(
    ("settings", "kept"), [({}, [0.75, 0.25]), ({"merge_nms": 0.7}, [0.75, 0.5, 0.25]), ({"merge_nms": 0.7, "max_per_image": 2}, [0.75, 0.5])]
)
def test_an_object_that_two_tiles_see_is_kept_once_above_the_overlap_that_is_set(settings: dict[str, float], kept: list[float], tmp_path: Path) -> None:
    """The boxes of two tiles have an IoU of 2 / 3."""
    rows = [seen("left", 40, 0.5), seen("left", 140, 0.25), seen("right", 46, 0.75)]
    assert merged_scores(tmp_path, rows, **settings) == kept


def test_boxes_of_other_images_and_classes_suppress_none_and_every_image_has_its_own_limit(tmp_path: Path) -> None:
    in_a = [seen("a0", 40, 0.75), seen("a1", 40, 0.5, category="plane")]
    in_b = [seen("b0", 40, 0.625, "b"), seen("b0", 140, 0.125, "b")]
    assert merged_scores(tmp_path, in_a + in_b, max_per_image=2) == [0.75, 0.5, 0.625, 0.125]
