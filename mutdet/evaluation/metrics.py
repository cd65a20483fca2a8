"""All figures of an evaluation as rows of the table `evaluation`, and its precision-recall curves."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mutdet.evaluation.average_precision import Curve, area_average_precision, precision_recall, voc07_average_precision
from mutdet.evaluation.matching import match
from mutdet.evaluation.objects import NO_CLASS, EvaluationSet
from mutdet.evaluation.recall import coverage
from mutdet.geometry.nms import descending
from mutdet.tables.evaluation import ALL, AREA, MEAN, VOC07, recall_metric

Curves = dict[tuple[str, float], Curve]
Row = dict[str, Any]
AVERAGE_PRECISIONS: Mapping[str, Callable[[Curve], float]] = {VOC07: voc07_average_precision, AREA: area_average_precision}


def compute_curves(data: EvaluationSet, thresholds: Sequence[float], ignore_share: float) -> Curves:
    """Precision-recall curve of each class and IoU threshold; overlaps are computed once for all of them.

    Args:
        data: what is evaluated.
        thresholds: IoUs that must be exceeded.
        ignore_share: share of a detection's area inside an ignored region above which it is absorbed.
    """
    found, labelled = data.detections, data.ground_truth
    matches = match(found, labelled, ignore_share)
    order = descending(found.scores)
    curves = {}
    for number, name in enumerate(data.categories):
        rows = order[found.category[order] == number]
        positives = int(np.sum((labelled.category == number) & ~labelled.difficult))
        for threshold in thresholds:
            curves[name, threshold] = precision_recall(rows, found.scores, matches, labelled.difficult, positives, threshold)
    return curves


def average_precision_rows(curves: Curves, metrics: Sequence[str], averaged: Sequence[float]) -> list[Row]:
    """Rows of each metric, threshold and class, of the mean over classes, and of the mean over thresholds.

    Classes without positives have no AP and are left out of the means.

    Args:
        curves: by class and threshold.
        metrics: names in `AVERAGE_PRECISIONS`.
        averaged: thresholds whose mean is added under threshold null, where all of them were computed.
    """
    categories = list(dict.fromkeys(name for name, _ in curves))
    thresholds = list(dict.fromkeys(threshold for _, threshold in curves))
    rows = []
    for metric in metrics:
        cells = {key: (AVERAGE_PRECISIONS[metric](curve), curve.final_recall) for key, curve in curves.items()}
        values = np.array([[cells[name, threshold] for name in categories] for threshold in thresholds]).reshape(len(thresholds), len(categories), 2)
        positives = [curves[name, thresholds[0]].positives for name in categories]
        for threshold, of_classes in zip(thresholds, values, strict=True):
            rows += _class_rows(metric, threshold, categories, of_classes, positives)
        if set(averaged) <= set(thresholds):
            mean = values[[thresholds.index(threshold) for threshold in averaged]].mean(axis=0)
            rows += _class_rows(metric, None, categories, mean, positives)
    return rows


def _class_rows(metric: str, threshold: float | None, categories: list[str], values: np.ndarray, positives: list[int]) -> list[Row]:
    """Rows of one metric and threshold from (ap, recall) of each class [N, 2], and of their mean."""
    has = np.array(positives, dtype=int) > 0
    mean = values[has].mean(axis=0) if has.any() else np.full(2, np.nan)
    named = [*zip(categories, values, positives, strict=True), (MEAN, mean, sum(positives))]
    return [_row(metric, threshold, name, ap, recall, count) for name, (ap, recall), count in named]


def recall_rows(data: EvaluationSet, boxes: int, thresholds: Sequence[float]) -> list[Row]:
    """Class-agnostic recall of the best boxes of each image, over all objects and over those of each class; difficult ones are left out.

    An object is found if one of the boxes, of whatever class, overlaps it by more than the threshold.
    """
    wanted = data.ground_truth.take((data.ground_truth.category != NO_CLASS) & ~data.ground_truth.difficult)
    covered = coverage(data.detections, wanted, boxes)
    groups = {name: covered[wanted.category == number] for number, name in enumerate(data.categories)} | {ALL: covered}
    return [
        _row(recall_metric(boxes), threshold, name, None, np.mean(values > threshold) if len(values) else None, len(values))
        for threshold in thresholds
        for name, values in groups.items()
    ]


def _row(metric: str, threshold: float | None, category: str, ap: Any, recall: Any, positives: int) -> Row:
    return {"metric": metric, "threshold": threshold, "category": category, "ap": _plain(ap), "recall": _plain(recall), "positives": positives}


def _plain(value: Any) -> float | None:
    return None if value is None or np.isnan(value) else float(value)
