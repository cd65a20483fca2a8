"""Labels of an image, checked against the data set's rules."""

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mutdet.data.bad_input import BadInput
from mutdet.data.label import Label
from mutdet.geometry.polygons import areas
from mutdet.settings.datasets import DatasetSettings
from mutdet.settings.errors import UserError
from mutdet.settings.registries import LABEL_FORMATS, load

_SMALLEST_AREA = 1e-3
"""Square pixels; corners on a line in decimal digits are not exactly so in binary ones."""


def load_labels(path: Path, dataset: DatasetSettings, bad: BadInput, counts: Counter[str]) -> list[Label]:
    """Labels of a file without those of unknown category and those without area, which `dataset` tells to count or to report.

    Args:
        path: label file in the data set's format.
        dataset: format, allowed categories and rules.
        bad: takes the labels that cannot be used.
        counts: `zero_area_labels` and `unknown_category_labels` are added to.

    Raises:
        UserError: the file cannot be read, or a bad label where `bad` stops.
    """
    labels: list[Label] = load(LABEL_FORMATS, dataset.format)(path, bad.label)
    return [label for label in labels if _known(label, path, dataset, bad, counts) and _has_area(label, path, dataset, bad, counts)]


def _known(label: Label, path: Path, dataset: DatasetSettings, bad: BadInput, counts: Counter[str]) -> bool:
    if dataset.categories is None or label.category in dataset.categories or label.category in dataset.ignore_categories:
        return True
    if dataset.on_unknown_category == "skip":
        counts["unknown_category_labels"] += 1
    else:
        what = f"category {label.category!r} is not among {', '.join(dataset.categories)}"
        bad.label(UserError(what, file=path, record=f"object {label.label_id + 1}", remedy="add it to categories, or set on_unknown_category: skip"))
    return False


def _has_area(label: Label, path: Path, dataset: DatasetSettings, bad: BadInput, counts: Counter[str]) -> bool:
    if areas(untangle(label.polygon[None]))[0] >= _SMALLEST_AREA:
        return True
    if dataset.on_zero_area == "skip":
        counts["zero_area_labels"] += 1
    else:
        bad.label(UserError("polygon has no area", file=path, record=f"object {label.label_id + 1}", remedy="correct it, or set on_zero_area: skip"))
    return False


def untangle(polygons: NDArray[np.float64]) -> NDArray[np.float64]:
    """[M, 4, 2] the same corners, in an order without crossing edges where those of `polygons` [M, 4, 2] cross; others as given."""
    result = polygons.copy()
    for swap in ((1, 2), (0, 1)):
        order = list(range(4))
        order[swap[0]], order[swap[1]] = swap[1], swap[0]
        # Corners in convex position, and only those, have two crossing edges; these are the diagonals of the untangled order.
        crossing = _convex(polygons[:, order]) & ~_convex(polygons)
        result[crossing] = polygons[crossing][:, order]
    return result


def _convex(polygons: NDArray[np.float64]) -> NDArray[np.bool_]:
    """[M] whether all corners turn the same way, none straight."""
    edges = np.roll(polygons, -1, axis=1) - polygons
    following = np.roll(edges, -1, axis=1)
    turns = np.sign(edges[..., 0] * following[..., 1] - edges[..., 1] * following[..., 0])
    return np.abs(turns.sum(axis=1)) == 4
