"""Section of pictures: detections against labels, the same tiles for every experiment."""

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
from mutdet.reporting.drawing import GREEN, RED, YELLOW, draw_outlines, enlarge, picture
from mutdet.reporting.results import in_order, read_evaluations
from mutdet.reporting.run_folder import RunFolder
from mutdet.settings.report import ReportSettings

_COLUMNS = ["image_id", "x", "y", "width", "height", "scale", "image", "labels"]
_FEWEST = 3
_CAPTION = (
    "Green: a label is covered with IoU 0.5 and the class is right; red: it is not; yellow: a label that no box covers. "
    "Each picture shows as many boxes, best score first, as the tile has labels, so that no threshold is chosen; before fine-tuning classes do not count."
)


@dataclass(frozen=True)
class _Tile:
    """One tile with its labels: polygons [M, 4, 2] in tile pixels and class names."""

    tile_id: str
    row: dict[str, Any]
    image: np.ndarray
    polygons: np.ndarray
    categories: list[str]


def detections_section(run: RunFolder, settings: ReportSettings) -> Section:
    """Labels and detections of each experiment on some tiles of each data set and split evaluated."""
    section = Section("detections", "Detections against labels")
    sets: dict[tuple[str, str], list[str]] = {}
    evaluation = read_evaluations(run)
    for row in evaluation:
        experiments = sets.setdefault((row["dataset"], row["split"]), [])
        if row["experiment"] not in experiments and (run.root / "detect" / row["experiment"] / "detections.parquet").is_file():
            experiments.append(row["experiment"])
    order = in_order(evaluation, settings.baseline)
    for (dataset, split), experiments in sets.items():
        section.blocks += _gallery_blocks(run, dataset, split, [name for name in order if name in experiments], settings)
    if not section.blocks:
        section.blocks.append(Note("There are no detections with an evaluation to show."))
    return section


def _gallery_blocks(run: RunFolder, dataset: str, split: str, experiments: Sequence[str], settings: ReportSettings) -> list[Block]:
    tiles = _labelled_tiles(run, dataset, split, settings)
    if not tiles or not experiments:
        return [Note(f"There are no labelled tiles of {dataset} {split}, or no detections on them.")]
    rows = [[_label_picture(tile, settings.picture_side)] for tile in tiles]
    for experiment in experiments:
        table = run.table("detect", experiment, "detections.parquet", columns=["image_id", "polygon", "score", "category"])
        for tile, cells in zip(tiles, rows, strict=True):
            cells.append(_detection_picture(tile, table, settings.picture_side))
    return [Gallery(["labels", *experiments], rows, [tile.tile_id for tile in tiles], f"{dataset}, split {split}. {_CAPTION}")]


def _labelled_tiles(run: RunFolder, dataset: str, split: str, settings: ReportSettings) -> list[_Tile]:
    paths = run.shards("partition", dataset, split)
    counts = {tile_id: len(labels) for tile_id, labels in zip(run.column(paths, "tile_id"), run.column(paths, "labels"), strict=True) if labels}
    chosen = choose(counts, counts, settings.tiles, settings.seed)
    tiles = []
    for tile_id, row in run.tiles(paths, _COLUMNS, chosen).items():
        polygons = np.array([label["polygon"] for label in row["labels"]], float).reshape(-1, 4, 2)
        image = decode_image(row["image"], tile_id)
        tiles.append(_Tile(tile_id, row, image, polygons, [label["category"] for label in row["labels"]]))
    return tiles


def _label_picture(tile: _Tile, side: int) -> Picture:
    large, factor = enlarge(tile.image, side)
    return picture(draw_outlines(large, tile.polygons * factor, [YELLOW] * len(tile.polygons)), f"{len(tile.polygons)} labels")


def _detection_picture(tile: _Tile, table: pa.Table | None, side: int) -> Picture:
    large, factor = enlarge(tile.image, side)
    polygons, categories = _in_tile(tile, table)
    right, covered = _verdict(tile, polygons, categories)
    drawn = draw_outlines(large, tile.polygons[~covered] * factor, [YELLOW] * int((~covered).sum()))
    drawn = draw_outlines(drawn, polygons * factor, [GREEN if ok else RED for ok in right])
    return picture(drawn, f"{int(covered.sum())} of {len(covered)} found")


def _in_tile(tile: _Tile, table: pa.Table | None) -> tuple[np.ndarray, list[str]]:
    """Best detections of the image that lie in the tile by half or more: polygons [M, 4, 2] in tile pixels and classes."""
    row = tile.row
    found = table.filter(pc.field("image_id") == row["image_id"]).sort_by([("score", "descending")]).to_pylist() if table is not None else []
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
