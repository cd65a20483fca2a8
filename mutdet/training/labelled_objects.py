"""Labels of tiles as targets of fine-tuning."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mutdet.geometry.rotated_boxes import from_polygons
from mutdet.settings.errors import UserError
from mutdet.tables.read import read_table
from mutdet.training.objects import PackedObjects, numbers_of, pack
from mutdet.training.tile_index import TileIndex


def read_labelled_objects(index: TileIndex, categories: Sequence[str], ignored: Sequence[str], min_side: float) -> PackedObjects:
    """Labels of indexed tiles as minimum-area boxes, le90; truncated and difficult objects count like all others (docs/method.md C).

    Args:
        index: tiles.
        categories: names in the order of class numbers.
        ignored: categories that give no target.
        min_side: boxes with a shorter side, in pixels of the tile, are left out.

    Raises:
        UserError: a label of a category that is neither known nor ignored.
    """
    table = read_table(index.paths, ["tile_id", "labels"])
    tile = numbers_of(table["tile_id"].to_pylist(), index.tile_ids)
    lists = table["labels"].combine_chunks()
    rows = np.repeat(tile, pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False))
    labels = pc.list_flatten(lists)
    names = labels.field("category").to_pylist()
    _check_names(index, rows, names, {*categories, *ignored})
    numbers = np.where(np.isin(names, list(ignored)), -1, numbers_of(names, categories)) if names else np.zeros(0, np.int64)
    polygons = pc.list_flatten(labels.field("polygon")).to_numpy(zero_copy_only=False).reshape(-1, 8)
    boxes = from_polygons(polygons)
    used = (rows >= 0) & (numbers >= 0) & (boxes[:, 2:4].min(axis=1, initial=np.inf) >= min_side)
    return pack(len(index), rows[used], boxes[used], numbers[used])


def _check_names(index: TileIndex, rows: np.ndarray, names: Sequence[str], known: set[str]) -> None:
    for row, name in zip(rows, names, strict=True):
        if row >= 0 and name not in known:
            raise UserError(f"label of unknown category {name!r}", record=index.tile_ids[row], remedy="use labels and tiles of one run of partition")


def categories_of_images(images: pa.Table, labels: pa.Table, split: str, ignored: Sequence[str]) -> dict[str, set[str]]:
    """Image id -> categories in that image, for the images of a split; images without objects have none.

    Args:
        images: table of images.
        labels: table of labels.
        split: split of the images.
        ignored: categories that are no class.
    """
    found: dict[str, set[str]] = {
        image: set() for image, splits in zip(images["image_id"].to_pylist(), images["split"].to_pylist(), strict=True) if split in splits
    }
    for image, category in zip(labels["image_id"].to_pylist(), labels["category"].to_pylist(), strict=True):
        if image in found and category not in ignored:
            found[image].add(category)
    return found
