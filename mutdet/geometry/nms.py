"""Greedy non-maximum suppression of rotated boxes; exact and deterministic."""

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from mutdet.geometry.iou import rotated_iou_pairs
from mutdet.geometry.polygons import Array, horizontal_boxes
from mutdet.geometry.rotated_boxes import as_boxes, corners

Indices = NDArray[np.intp]
_BOXES_PER_BLOCK = 128
"""Boxes decided at a time: many enough for a call, few enough that suppressed boxes are seldom compared."""
_MARGIN = 1e-9
"""Keeps rounding from deciding on pairs right at the threshold."""


def descending(scores: ArrayLike) -> Indices:
    """Indices of scores [M] from the highest to the lowest; equal scores keep their order."""
    return np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")


def rotated_nms(boxes: ArrayLike, scores: ArrayLike, threshold: float) -> Indices:
    """Indices of the kept boxes in descending score.

    A box goes when its IoU with a kept box of higher score (of equal score and lower index) is greater than `threshold`.

    Args:
        boxes: [M, 5] rotated boxes.
        scores: [M] finite scores.
        threshold: IoU, 0 to 1.
    """
    order = descending(scores)
    ordered = as_boxes(boxes).astype(np.float64)[order]
    return order[_greedy(ordered, horizontal_boxes(corners(ordered)), threshold)]


def batched_rotated_nms(boxes: ArrayLike, scores: ArrayLike, categories: ArrayLike, threshold: float) -> Indices:
    """As `rotated_nms`, where only boxes of the same category [M] suppress each other; categories are integers or names."""
    given, values, names = as_boxes(boxes), np.asarray(scores, dtype=np.float64), np.asarray(categories)
    members = [np.flatnonzero(names == name) for name in np.unique(names)]
    kept = [member[rotated_nms(given[member], values[member], threshold)] for member in members]
    survivors = np.sort(np.concatenate(kept)) if kept else np.zeros(0, np.intp)
    return survivors[descending(values[survivors])]


def _greedy(boxes: Array, outlines: Array, threshold: float) -> Indices:
    """Positions kept of boxes sorted by descending score: block by block, each box against later ones that a spatial index finds near it."""
    keep = np.ones(len(boxes), bool)
    shapes = shapely.box(*outlines.T)
    index = shapely.STRtree(shapes)
    for start in range(0, len(boxes), _BOXES_PER_BLOCK):
        block = start + np.flatnonzero(keep[start : start + _BOXES_PER_BLOCK])
        near, columns = index.query(shapes[block])
        rows = block[near]
        later = (rows < columns) & keep[columns]
        rows, columns = rows[later], columns[later]
        possible = _may_exceed(boxes, outlines, rows, columns, threshold)
        rows, columns = rows[possible], columns[possible]
        conflict = rotated_iou_pairs(boxes[rows], boxes[columns]) > threshold
        _suppress(keep, rows[conflict], columns[conflict])
    return np.flatnonzero(keep)


def _suppress(keep: NDArray[np.bool_], rows: Indices, columns: Indices) -> None:
    """Drop the columns of every row that is kept when its turn comes, in the order of rows."""
    order = np.argsort(rows, kind="stable")
    distinct, starts = np.unique(rows[order], return_index=True)
    for row, first, last in zip(distinct, starts, [*starts[1:], len(rows)], strict=False):
        if keep[row]:
            keep[columns[order[first:last]]] = False


def _may_exceed(boxes: Array, outlines: Array, a: Indices, b: Indices, threshold: float) -> NDArray[np.bool_]:
    """Whether the IoU of the pairs can exceed the threshold at all, from areas: of the boxes, and common to their outlines."""
    areas = boxes[:, 2] * boxes[:, 3]
    sides = np.minimum(outlines[a, 2:], outlines[b, 2:]) - np.maximum(outlines[a, :2], outlines[b, :2])
    most = np.minimum(np.minimum(areas[a], areas[b]), sides[:, 0] * sides[:, 1])
    return most * (1 + threshold) >= threshold * (areas[a] + areas[b]) * (1 - _MARGIN)
