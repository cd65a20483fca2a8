"""Intersection over union of quadrilaterals and rotated boxes; values in [0, 1], never NaN."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mutdet.geometry.polygons import Array, areas, as_polygons, horizontal_boxes, intersection_areas
from mutdet.geometry.rotated_boxes import as_boxes, corners

_PAIRS_PER_FILTER = 1 << 22
"""Comparisons of horizontal boxes held in memory at once."""


def polygon_iou_pairs(a: ArrayLike, b: ArrayLike) -> Array:
    """[M] IoU of the quadrilaterals a[i] and b[i], both [M, 4, 2], in any winding.

    Areas as in DOTA's evaluation code (see `polygons`). Where that would divide by zero (both without area), 0; results
    of self-intersecting shapes outside [0, 1] are clipped.
    """
    first, second = as_polygons(a), as_polygons(b)
    with np.errstate(over="ignore", invalid="ignore"):
        common = intersection_areas(first, second)
        union = areas(first) + areas(second) - common
        ratio = np.divide(common, union, out=np.zeros_like(union), where=union > 0)
    return np.clip(np.nan_to_num(ratio, nan=0.0), 0, 1)


def polygon_iou(a: ArrayLike, b: ArrayLike) -> Array:
    """[M, N] IoU between quadrilaterals a [M, 4, 2] and b [N, 4, 2]; only pairs whose horizontal boxes overlap are computed."""
    first, second = as_polygons(a), as_polygons(b)
    result = np.zeros((len(first), len(second)))
    rows, columns = overlapping_pairs(horizontal_boxes(first), horizontal_boxes(second))
    result[rows, columns] = polygon_iou_pairs(first[rows], second[columns])
    return result


def rotated_iou_pairs(a: ArrayLike, b: ArrayLike) -> Array:
    """[M] IoU of the rotated boxes a[i] and b[i], both [M, 5].

    Corners are taken relative to the centre of a[i], so that far-away boxes lose no digits.
    """
    first, second = as_boxes(a).astype(np.float64), as_boxes(b).astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        second[:, :2] -= first[:, :2]
        first[:, :2] = 0
        return polygon_iou_pairs(corners(first), corners(second))


def rotated_iou(a: ArrayLike, b: ArrayLike) -> Array:
    """[M, N] IoU between rotated boxes a [M, 5] and b [N, 5]; only pairs whose horizontal boxes overlap are computed."""
    first, second = as_boxes(a).astype(np.float64), as_boxes(b).astype(np.float64)
    result = np.zeros((len(first), len(second)))
    with np.errstate(invalid="ignore", over="ignore"):
        rows, columns = overlapping_pairs(horizontal_boxes(corners(first)), horizontal_boxes(corners(second)))
    result[rows, columns] = rotated_iou_pairs(first[rows], second[columns])
    return result


def overlapping_pairs(a: Array, b: Array) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices (i, j), sorted, of the horizontal boxes a [M, 4] and b [N, 4] (x0, y0, x1, y1) that touch or overlap."""
    step = max(1, _PAIRS_PER_FILTER // max(len(b), 1))
    found = [_overlapping_block(a[start : start + step], b, start) for start in range(0, len(a), step)]
    if not found:
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    return np.concatenate([rows for rows, _ in found]), np.concatenate([columns for _, columns in found])


def _overlapping_block(a: Array, b: Array, start: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    touch = (a[:, None, 0] <= b[None, :, 2]) & (b[None, :, 0] <= a[:, None, 2])
    touch &= (a[:, None, 1] <= b[None, :, 3]) & (b[None, :, 1] <= a[:, None, 3])
    rows, columns = np.nonzero(touch)
    return rows + start, columns
