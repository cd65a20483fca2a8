"""Greedy non-maximum suppression of rotated boxes; exact and deterministic."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mutdet.geometry.iou import overlapping_pairs, rotated_iou_pairs
from mutdet.geometry.polygons import Array, horizontal_boxes
from mutdet.geometry.rotated_boxes import as_boxes, corners

Indices = NDArray[np.intp]
_BOXES_PER_BLOCK = 128
"""Boxes decided at a time: large enough to fill arrays, small enough that suppressed boxes are seldom compared."""
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
    """Positions kept of boxes sorted by descending score, block by block: within a block one by one, then against all later boxes."""
    waiting = np.arange(len(boxes))
    kept: list[Indices] = []
    while len(waiting):
        block, later = waiting[:_BOXES_PER_BLOCK], waiting[_BOXES_PER_BLOCK:]
        chosen = block[_keep_within(*_conflicts(boxes, outlines, block, block, threshold), len(block))]
        kept.append(chosen)
        _, suppressed = _conflicts(boxes, outlines, chosen, later, threshold)
        waiting = np.delete(later, suppressed)
    return np.concatenate(kept) if kept else waiting


def _conflicts(boxes: Array, outlines: Array, first: Indices, second: Indices, threshold: float) -> tuple[Indices, Indices]:
    """Positions within `first` and `second` of the pairs, the earlier box in `first`, that overlap by more than the threshold."""
    rows, columns = overlapping_pairs(outlines[first], outlines[second])
    possible = (first[rows] < second[columns]) & _may_exceed(boxes, outlines, first[rows], second[columns], threshold)
    rows, columns = rows[possible], columns[possible]
    conflict = rotated_iou_pairs(boxes[first[rows]], boxes[second[columns]]) > threshold
    return rows[conflict], columns[conflict]


def _may_exceed(boxes: Array, outlines: Array, a: Indices, b: Indices, threshold: float) -> NDArray[np.bool_]:
    """Whether the IoU of the pairs can exceed the threshold at all, from areas: of the boxes, and common to their outlines."""
    areas = boxes[:, 2] * boxes[:, 3]
    sides = np.minimum(outlines[a, 2:], outlines[b, 2:]) - np.maximum(outlines[a, :2], outlines[b, :2])
    most = np.minimum(np.minimum(areas[a], areas[b]), sides[:, 0] * sides[:, 1])
    return most * (1 + threshold) >= threshold * (areas[a] + areas[b]) * (1 - _MARGIN)


def _keep_within(rows: Indices, columns: Indices, count: int) -> NDArray[np.bool_]:
    """[count] whether each box stays, given its conflicts (row suppresses column), sorted by row."""
    keep = np.ones(count, bool)
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        if keep[row]:
            keep[column] = False
    return keep
