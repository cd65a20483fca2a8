"""Section of pictures: detections against labels, the same tiles for every experiment.

Once on the tiles whose masks and boxes are shown, which are training images, and once on tiles of the split that was evaluated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mutdet.embedding.tile_images import decode_image
from mutdet.geometry.iou import polygon_iou
from mutdet.geometry.polygons import fraction_inside
from mutdet.reporting.blocks import Block, Gallery, Note, Picture, Section
from mutdet.reporting.chosen_tiles import choose
from mutdet.reporting.comparison import Row, seeds_together
from mutdet.reporting.drawing import GREEN, RED, YELLOW, draw_outlines, enlarge, picture
from mutdet.reporting.results import in_order, read_evaluations
from mutdet.reporting.run_folder import RunFolder
from mutdet.settings.report import ReportSettings

_COLUMNS = ["tile_id", "image_id", "x", "y", "width", "height", "scale", "image", "labels"]
_FEWEST = 3
_TRAINING = (
    "training images, the tiles of the pictures above. Fine-tuning has seen the labels of a part of these images, pre-training the pixels of all: "
    "this shows what the detectors make of their training data, not how good they are."
)
_CAPTION = (
    "Green: a label is covered with IoU 0.5 and the class is right; red: it is not; yellow: a label that no box covers. "
    "Each picture shows as many boxes, best score first, as the tile has labels, so that no threshold is chosen; before fine-tuning classes do not count. "
    "Of experiments that differ in seeds alone the first is shown."
)


@dataclass(frozen=True)
class _Tile:
    """One tile with its labels: polygons [M, 4, 2] in tile pixels and class names."""

    row: dict[str, Any]
    image: np.ndarray
    polygons: np.ndarray
    categories: list[str]


@dataclass(frozen=True)
class _Source:
    """Table of detections below detect/<experiment>/, and the column by which a tile finds its own."""

    table: str
    key: str


def detections_section(run: RunFolder, settings: ReportSettings) -> Section:
    """Labels and detections of each experiment on the chosen tiles of its data set, and on some tiles of the split evaluated."""
    section = Section("detections", "Detections against labels")
    evaluation = read_evaluations(run)
    order = in_order(evaluation, settings.baseline)
    for dataset, split in dict.fromkeys((row["dataset"], row["split"]) for row in evaluation):
        evaluated = [row for row in evaluation if (row["dataset"], row["split"]) == (dataset, split)]
        experiments = _first_seeds(evaluated, order)
        section.blocks += _training_blocks(run, dataset, experiments, settings)
        section.blocks += _evaluated_blocks(run, dataset, split, experiments, settings)
    if not section.blocks:
        section.blocks.append(Note("There are no detections with an evaluation to show."))
    return section


def _first_seeds(evaluated: Sequence[Row], order: Sequence[str]) -> list[str]:
    """One experiment of those that differ in seeds alone, so that rows of pictures stay as short as arms are few."""
    in_turn = sorted(evaluated, key=lambda row: order.index(row["experiment"]))
    return [group[0]["experiment"] for group in seeds_together(in_turn)]


def _training_blocks(run: RunFolder, dataset: str, experiments: Sequence[str], settings: ReportSettings) -> list[Block]:
    """The tiles that the pictures of masks and boxes show."""
    tiles = [_labelled_tile(row) for row in run.chosen_tiles().get(dataset, []) if row["labels"]]
    gallery = _gallery(run, _Source("pictures.parquet", "tile_id"), tiles, experiments, settings.picture_side, f"{dataset}, {_TRAINING}")
    return [gallery or Note(f"There are no labels on the tiles of {dataset} that are shown above, or no detections.")]


def _evaluated_blocks(run: RunFolder, dataset: str, split: str, experiments: Sequence[str], settings: ReportSettings) -> list[Block]:
    """Tiles of the images that the figures come from."""
    tiles = _labelled_tiles(run, dataset, split, settings)
    caption = f"{dataset}, split {split}, the images that the figures come from."
    gallery = _gallery(run, _Source("detections.parquet", "image_id"), tiles, experiments, settings.picture_side, caption)
    return [gallery or Note(f"There are no labelled tiles of {dataset} {split}, or no detections on them.")]


def _gallery(run: RunFolder, source: _Source, tiles: Sequence[_Tile], experiments: Sequence[str], side: int, caption: str) -> Gallery | None:
    """Labels and every experiment's detections; none where there is nothing to show."""
    tables = {name: run.table("detect", name, source.table, columns=[source.key, "polygon", "score", "category"]) for name in experiments}
    found = {name: table for name, table in tables.items() if table is not None}
    if not tiles or not found:
        return None
    rows = []
    for tile in tiles:
        own = [table.filter(pc.field(source.key) == tile.row[source.key]) for table in found.values()]
        rows.append([_label_picture(tile, side), *(_detection_picture(tile, table, side) for table in own)])
    return Gallery(["labels", *found], rows, [tile.row["tile_id"] for tile in tiles], f"{caption} {_CAPTION}")


def _labelled_tiles(run: RunFolder, dataset: str, split: str, settings: ReportSettings) -> list[_Tile]:
    paths = run.shards("partition", dataset, split)
    counts = {tile_id: len(labels) for tile_id, labels in zip(run.column(paths, "tile_id"), run.column(paths, "labels"), strict=True) if labels}
    chosen = choose(counts, counts, settings.tiles, settings.seed)
    return [_labelled_tile(row) for row in run.tiles(paths, _COLUMNS, chosen).values()]


def _labelled_tile(row: dict[str, Any]) -> _Tile:
    polygons = np.array([label["polygon"] for label in row["labels"]], float).reshape(-1, 4, 2)
    return _Tile(row, decode_image(row["image"], row["tile_id"]), polygons, [label["category"] for label in row["labels"]])


def _label_picture(tile: _Tile, side: int) -> Picture:
    large, factor = enlarge(tile.image, side)
    return picture(draw_outlines(large, tile.polygons * factor, [YELLOW] * len(tile.polygons)), f"labels: {len(tile.polygons)}")


def _detection_picture(tile: _Tile, table: pa.Table, side: int) -> Picture:
    large, factor = enlarge(tile.image, side)
    polygons, categories = _in_tile(tile, table)
    right, covered = _verdict(tile, polygons, categories)
    drawn = draw_outlines(large, tile.polygons[~covered] * factor, [YELLOW] * int((~covered).sum()))
    drawn = draw_outlines(drawn, polygons * factor, [GREEN if ok else RED for ok in right])
    return picture(drawn, f"found: {int(covered.sum())} of {len(covered)}")


def _in_tile(tile: _Tile, table: pa.Table) -> tuple[np.ndarray, list[str]]:
    """Best detections of the table that lie in the tile by half or more: polygons [M, 4, 2] in tile pixels and classes."""
    row, found = tile.row, table.sort_by([("score", "descending")]).to_pylist()
    polygons = (np.array([one["polygon"] for one in found], float).reshape(-1, 4, 2) - [row["x"], row["y"]]) * row["scale"]
    inside = np.flatnonzero(fraction_inside(polygons, 0, 0, row["width"], row["height"]) >= 0.5) if len(found) else np.zeros(0, int)
    best = inside[: max(_FEWEST, len(tile.polygons))]
    return polygons[best], [found[i]["category"] for i in best]


def _verdict(tile: _Tile, polygons: np.ndarray, categories: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Which detections are right [M], which labels are covered [G]; each label once, best score first."""
    overlap = polygon_iou(polygons, tile.polygons) if len(polygons) and len(tile.polygons) else np.zeros((len(polygons), len(tile.polygons)))
    if set(categories) & set(tile.categories):
        overlap = np.where(np.array(categories)[:, None] == np.array(tile.categories)[None], overlap, 0.0)
    right, covered = np.zeros(len(polygons), bool), np.zeros(len(tile.polygons), bool)
    for i, row in enumerate(overlap):
        free = np.where(covered, 0.0, row)
        if len(free) and free.max() >= 0.5:
            right[i] = covered[free.argmax()] = True
    return right, covered
