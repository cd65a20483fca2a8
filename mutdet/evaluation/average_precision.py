"""Precision-recall curves and average precision, as DOTA's evaluation code defines them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mutdet.evaluation.matching import Matches

Array = NDArray[np.float64]
VOC07_RECALLS = np.arange(0.0, 1.1, 0.1)
"""The eleven points, with the rounding of DOTA's code: 0.30000000000000004 is not reached by 3 of 10."""


@dataclass(frozen=True)
class Curve:
    """Precision and recall of one class at one IoU threshold, by descending score.

    Attributes:
        recall: [D] share of the positives found so far; empty without positives.
        precision: [D] share of the counted detections that are right so far.
        scores: [D] of the counted detections.
        positives: labelled objects that are not difficult.
    """

    recall: Array
    precision: Array
    scores: Array
    positives: int

    @property
    def final_recall(self) -> float:
        """Recall of all detections; NaN without positives."""
        if not self.positives:
            return float("nan")
        return float(self.recall[-1]) if len(self.recall) else 0.0


def precision_recall(rows: NDArray[np.intp], scores: Array, matches: Matches, difficult: NDArray[np.bool_], positives: int, threshold: float) -> Curve:
    """Curve of the detections `rows` of one class.

    A detection whose best object overlaps it by more than the threshold is right if it is the first there, wrong if another came
    before; on a difficult object it counts as neither. One without such an object is wrong, unless a region to be ignored absorbs it.

    Args:
        rows: [D] positions of the class's detections, by descending score.
        scores: scores of all detections.
        matches: overlaps of all detections.
        difficult: flags of all labelled objects.
        positives: labelled objects of the class that are not difficult.
        threshold: IoU that must be exceeded.
    """
    hit, target = matches.iou[rows] > threshold, matches.target[rows]
    hard = np.zeros(len(rows), bool)
    hard[hit] = difficult[target[hit]]
    claims = np.flatnonzero(hit & ~hard)
    right = np.zeros(len(rows), bool)
    right[claims[np.unique(target[claims], return_index=True)[1]]] = True
    counted = ~(hard | (~hit & matches.absorbed[rows]))
    found = np.cumsum(right[counted])
    recall = found / positives if positives else np.zeros(0)
    return Curve(recall, found / np.arange(1, len(found) + 1), scores[rows[counted]], positives)


def voc07_average_precision(curve: Curve) -> float:
    """Mean over eleven recalls of the best precision at that recall or more; NaN without positives."""
    if not curve.positives:
        return float("nan")
    best = np.append(_envelope(curve.precision), 0.0)
    return float(best[np.searchsorted(curve.recall, VOC07_RECALLS, side="left")].sum() / len(VOC07_RECALLS))


def area_average_precision(curve: Curve) -> float:
    """Area under the curve after precision is made to fall with recall; NaN without positives."""
    if not curve.positives:
        return float("nan")
    return float(np.sum(np.diff(curve.recall, prepend=0.0) * _envelope(curve.precision)))


def _envelope(precision: Array) -> Array:
    return np.maximum.accumulate(precision[::-1])[::-1]
