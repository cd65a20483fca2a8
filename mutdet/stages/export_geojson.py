"""Command `export_geojson`: detections as a layer of a map."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from mutdet.evaluation.geojson import corners_in_degrees, feature, write_features
from mutdet.settings.base import Runtime
from mutdet.settings.console import log
from mutdet.settings.errors import UserError
from mutdet.settings.export_geojson import ExportGeojsonFiles, ExportGeojsonSettings
from mutdet.tables.read import iterate_batches, read_table

_COLUMNS = ["dataset", "image_id", "polygon", "score", "category"]
_Key = tuple[str, str]


def run(files: ExportGeojsonFiles, settings: ExportGeojsonSettings, runtime: Runtime) -> None:
    """Write a polygon with image, category and score for every detection of a georeferenced image, in the order of the table.

    Raises:
        UserError: no image is georeferenced, an image of the detections is unknown, or its coordinates lead nowhere.
    """
    images = _images(files.images)
    if not any(_is_placed(image) for image in images.values()):
        raise UserError("no image is georeferenced", file=files.images, remedy="cut images that hold their coordinate system, such as GeoTIFF")
    flat = set[_Key]()
    written = write_features(files.output, _features(files.detections, images, settings.min_score, flat))
    log.info("%d detections with a score of %g or more written", written, settings.min_score)
    if flat:
        log.warning("left out: detections of %d images that are not georeferenced, such as %s", len(flat), min(flat)[1])


def _images(path: Path) -> dict[_Key, dict[str, Any]]:
    table = read_table(path, ["dataset", "image_id", "path", "crs", "transform"])
    return {(row["dataset"], row["image_id"]): row for row in table.to_pylist()}


def _is_placed(image: dict[str, Any]) -> bool:
    return image["crs"] is not None and image["transform"] is not None


def _features(detections: Path, images: dict[_Key, dict[str, Any]], min_score: float, flat: set[_Key]) -> Iterator[dict[str, Any]]:
    """Features of all images that have a place; the others are added to `flat`."""
    for batch in iterate_batches(detections, _COLUMNS):
        rows = [row for row in batch.to_pylist() if row["score"] >= min_score]
        for key, group in groupby(rows, lambda row: (row["dataset"], row["image_id"])):
            if key not in images:
                raise UserError(f"image {key[1]!r} of dataset {key[0]!r} is not in the table of images", file=detections, remedy="use tables of one run")
            if _is_placed(images[key]):
                yield from _features_of_image(list(group), images[key])
            else:
                flat.add(key)


def _features_of_image(rows: list[dict[str, Any]], image: dict[str, Any]) -> Iterator[dict[str, Any]]:
    polygons = np.array([row["polygon"] for row in rows]).reshape(-1, 4, 2)
    try:
        rings = corners_in_degrees(polygons, image["crs"], image["transform"])
    except UserError as error:
        raise UserError(str(error), file=image["path"]) from error
    for row, ring in zip(rows, rings, strict=True):
        yield feature(ring, {name: row[name] for name in ("dataset", "image_id", "category")} | {"score": round(row["score"], 6)})
