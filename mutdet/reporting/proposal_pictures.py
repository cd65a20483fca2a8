"""Section of pictures: the same tiles after each stage up to the pseudo-classes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from mutdet.embedding.tile_images import decode_image
from mutdet.reporting.blocks import Gallery, Note, Picture, Section
from mutdet.reporting.drawing import GREEN, category_colour, draw_masks, draw_outlines, enlarge, picture
from mutdet.reporting.run_folder import RunFolder
from mutdet.settings.report import ReportSettings

Rows = list[dict[str, Any]]
Drawer = Callable[[np.ndarray, Rows, int], np.ndarray]
_COLUMNS: dict[str, list[str]] = {"masks": ["size", "counts"], "boxes": ["polygon"], "pseudo_labels": ["polygon", "category"]}
_NOUNS = {"masks": "masks", "boxes": "boxes", "pseudo_labels": "pseudo objects"}


def proposals_section(run: RunFolder, settings: ReportSettings) -> Section:
    """Source, masks, boxes and pseudo-classes of the chosen tiles of each data set."""
    section = Section("pictures", "From tiles to pseudo objects")
    section.blocks += [_gallery(run, dataset, tiles, settings) for dataset, tiles in run.chosen_tiles().items() if tiles]
    if not section.blocks:
        section.blocks.append(Note("There are no unlabelled tiles to show."))
    absent = [_NOUNS[stage] for stage in _COLUMNS if not run.folders(stage)]
    if absent:
        section.blocks.append(Note(f"This run has no {' and no '.join(absent)} yet."))
    return section


def _gallery(run: RunFolder, dataset: str, tiles: Rows, settings: ReportSettings) -> Gallery:
    decoded = {row["tile_id"]: decode_image(row["image"], row["tile_id"]) for row in tiles}
    drawn = [(stage, variant) for stage in _COLUMNS for variant in run.folders(stage) if run.shards(stage, variant, dataset)]
    found = {(s, v): run.rows_of_tiles(run.shards(s, v, dataset), _COLUMNS[s], list(decoded)) for s, v in drawn}
    rows = []
    for tile_id, image in decoded.items():
        cells = [picture(enlarge(image, settings.picture_side)[0], f"{image.shape[1]} × {image.shape[0]} px")]
        cells += [_cell(image, stage, found[stage, variant][tile_id], settings.picture_side) for stage, variant in drawn]
        rows.append(cells)
    names = ["tile", *(f"{stage.replace('_', ' ')} · {variant}" for stage, variant in drawn)]
    caption = f"Data set {dataset}: the same tiles after each stage. Pseudo objects of one class have one colour; classes share 20 colours."
    return Gallery(names, rows, list(decoded), caption)


def _cell(image: np.ndarray, stage: str, rows: Rows, side: int) -> Picture:
    drawers: dict[str, Drawer] = {"masks": _masks, "boxes": partial(_boxes, coloured=False), "pseudo_labels": partial(_boxes, coloured=True)}
    return picture(drawers[stage](image, rows, side), f"{_NOUNS[stage]}: {len(rows)}")


def _masks(image: np.ndarray, rows: Rows, side: int) -> np.ndarray:
    return draw_masks(image, ({"size": row["size"], "counts": row["counts"]} for row in rows), side)


def _boxes(image: np.ndarray, rows: Rows, side: int, *, coloured: bool) -> np.ndarray:
    large, factor = enlarge(image, side)
    colours = [category_colour(row["category"]) if coloured else GREEN for row in rows]
    return draw_outlines(large, np.array([row["polygon"] for row in rows]) * factor, colours)
