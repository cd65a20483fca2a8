"""Evaluation of our own tables: merged detections, labels and images."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mutdet.evaluation.objects import NO_CLASS, Detections, EvaluationSet, GroundTruth
from mutdet.settings.console import log
from mutdet.settings.errors import UserError
from mutdet.tables.read import read_table


def load_tables(detections: Path, labels: Path, images: Path, split: str, ignored: Collection[str]) -> EvaluationSet:
    """Detections and labels of all images of a split; the classes are those of its labels, in alphabetical order.

    Split `test` may have no labels: its classes are then those of the whole data set, and it has no positives.
    Detections of another class count for class-agnostic recall alone.

    Args:
        detections: table `detections`.
        labels: table `labels`.
        images: table `images`.
        split: its images are evaluated.
        ignored: categories that are no class.

    Raises:
        UserError: a table is missing or broken, the split holds no image, a detection belongs to another image or is not finite.
    """
    index = read_table(images, ["image_id", "split"])
    ids = [image for image, splits in zip(index["image_id"].to_pylist(), index["split"].to_pylist(), strict=True) if split in splits]
    if not ids:
        raise UserError(f"no image belongs to split {split}", file=images, remedy="choose a split that the data set has")
    found = read_table(detections, ["image_id", "polygon", "score", "category"])
    whole = read_table(labels, ["image_id", "polygon", "category", "difficulty"])
    labelled = whole.filter(pc.is_in(whole["image_id"], value_set=pa.array(ids, pa.string())))
    unlabelled = split == "test" and not len(labelled)
    if unlabelled:
        log.warning("%s: split test has no label, so there are detections to hand in but no figures", labels)
    categories = sorted(set((whole if unlabelled else labelled)["category"].to_pylist()) - set(ignored))
    truth = GroundTruth(
        image=_numbers(labelled["image_id"], ids),
        category=_numbers(labelled["category"], categories),
        polygons=_polygons(labelled["polygon"]),
        difficult=labelled["difficulty"].to_numpy() > 0,
    )
    return EvaluationSet(ids, categories, _detections(found, detections, ids, categories), truth)


def _detections(table: pa.Table, path: Path, ids: list[str], categories: list[str]) -> Detections:
    found = Detections(
        image=_numbers(table["image_id"], ids),
        category=_numbers(table["category"], categories),
        polygons=_polygons(table["polygon"]),
        scores=table["score"].to_numpy().astype(np.float64),
    )
    for row in np.flatnonzero(found.image < 0)[:1]:
        raise UserError("image is not among those evaluated", file=path, record=table["image_id"][row], remedy="detect on the split that is evaluated")
    for row in np.flatnonzero(~(np.isfinite(found.scores) & np.isfinite(found.polygons).all(axis=(1, 2))))[:1]:
        raise UserError("a detection is not finite", file=path, record=table["image_id"][row], remedy="look for NaN in the detector's weights")
    others = int(np.sum(found.category == NO_CLASS))
    if others:
        log.warning("%s: %d of %d detections are of no labelled class and count for class-agnostic recall alone", path, others, len(found))
    return found


def _numbers(column: pa.ChunkedArray, names: list[str]) -> NDArray[np.int64]:
    """Position of each text among the names, -1 where it is none of them."""
    positions = pc.index_in(column, value_set=pa.array(names, pa.string()))
    return pc.fill_null(positions, NO_CLASS).to_numpy().astype(np.int64)


def _polygons(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return pc.list_flatten(column).to_numpy().astype(np.float64).reshape(-1, 4, 2)
