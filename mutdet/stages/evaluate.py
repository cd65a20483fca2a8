"""Stage `evaluate`: figures, curves and submission files of one experiment, or of foreign results."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mutdet.evaluation.from_dota import load_dota_results
from mutdet.evaluation.from_tables import load_tables
from mutdet.evaluation.metrics import Curves, Row, average_precision_rows, compute_curves, recall_rows
from mutdet.evaluation.objects import NO_CLASS, EvaluationSet
from mutdet.evaluation.submission import write_submission
from mutdet.settings.base import Runtime
from mutdet.settings.console import log
from mutdet.settings.errors import UserError
from mutdet.settings.evaluate import COCO_THRESHOLDS, EvaluateFiles, EvaluateSettings
from mutdet.tables.curves import SCHEMA as CURVES_SCHEMA
from mutdet.tables.evaluation import EXPERIMENT, MEAN, SCHEMA
from mutdet.tables.write import write_json, write_provenance, write_table

_JSON_NAMES = {"voc07": "voc07", "area": "voc12"}
"""Names of the metrics in DOTA's tools."""


def run(files: EvaluateFiles, settings: EvaluateSettings, runtime: Runtime) -> None:
    """Evaluate detections of whole images and write what `files` names."""
    data = _load(files, settings)
    curves = {} if _knows_no_class(data) else compute_curves(data, settings.thresholds, settings.ignore_share)
    rows = average_precision_rows(curves, settings.metrics, COCO_THRESHOLDS)
    _log_summary(data, rows, settings.shown_thresholds)
    if files.json_output:
        write_json(files.json_output, _by_metric(rows, settings.shown_thresholds))
    if files.submission:
        write_submission(files.submission, data.detections, data.images, data.categories)
    if files.curves:
        write_table(files.curves, list(_curve_rows(curves, settings.shown_thresholds)), CURVES_SCHEMA)
    if files.output:
        _write_figures(files.output, settings, data, rows + recall_rows(data, settings.recall_boxes, settings.recall_thresholds))


def _load(files: EvaluateFiles, settings: EvaluateSettings) -> EvaluationSet:
    if files.detections.suffix == ".parquet":
        data = load_tables(files.detections, files.labels, files.images, settings.split, settings.ignore_categories)
    else:
        data = load_dota_results(files.detections, files.labels, files.images, settings.ignore_categories)
    if not data.categories:
        raise UserError("no object of any class is labelled in the evaluated images", file=files.labels, remedy="evaluate on images with labels")
    return data


def _knows_no_class(data: EvaluationSet) -> bool:
    """Whether there are detections, but none of a labelled class: a detector before fine-tuning, which has a recall but no AP."""
    return len(data.detections) > 0 and bool(np.all(data.detections.category == NO_CLASS))


def _log_summary(data: EvaluationSet, rows: list[Row], thresholds: list[float]) -> None:
    log.info("%d images, %d classes, %d detections, %d labels", len(data.images), len(data.categories), len(data.detections), len(data.ground_truth))
    for row in rows:
        if row["category"] == MEAN and row["threshold"] in (None, *thresholds) and row["ap"] is not None:
            log.info("AP (%s) at IoU %s: %.4f", row["metric"], row["threshold"] or "0.5:0.95", row["ap"])


def _by_metric(rows: list[Row], thresholds: list[float]) -> dict[str, dict[str, float | None]]:
    """AP by class under keys such as `voc07@0.5`."""
    tree: dict[str, dict[str, float | None]] = {}
    for row in rows:
        if row["threshold"] in thresholds:
            tree.setdefault(f"{_JSON_NAMES[row['metric']]}@{row['threshold']:g}", {})[row["category"]] = row["ap"]
    return tree


def _curve_rows(curves: Curves, thresholds: list[float]) -> Iterator[dict[str, Any]]:
    for (category, threshold), curve in sorted(curves.items(), key=lambda item: item[0]):
        if threshold in thresholds and curve.positives:
            for recall, precision, score in zip(curve.recall, curve.precision, curve.scores, strict=True):
                yield {"category": category, "threshold": threshold, "recall": recall, "precision": precision, "score": score}


def _write_figures(output: Path, settings: EvaluateSettings, data: EvaluationSet, rows: list[Row]) -> None:
    facts = {column.name: getattr(settings, column.name) for column in EXPERIMENT}
    ordered = sorted(rows, key=lambda row: (row["metric"], row["threshold"] is None, row["threshold"] or 0, row["category"]))
    write_table(output, [facts | row for row in ordered], SCHEMA)
    counts = {"images": len(data.images), "classes": data.categories, "detections": len(data.detections), "labels": len(data.ground_truth)}
    write_provenance(output, settings=settings.model_dump(mode="json"), **counts)
