"""Experiments side by side: mean and spread over seeds, gain over no pre-training."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from mutdet.settings.errors import UserError
from mutdet.settings.tables import PublishedFigures
from mutdet.tables.comparison import MEASURES, PUBLISHED
from mutdet.tables.evaluation import ALL, AREA, MEAN, VOC07

Row = dict[str, Any]
_FACTS = ("dataset", "split", "pretrain", "fraction", "epochs", "iterations")
_ALIKE = ("dataset", "split", "fraction", "epochs", "iterations")
_SEED = re.compile(r"-s\d+$")
_THRESHOLDS = {0.5: "ap50", 0.75: "ap75", None: "ap50_95"}


def compare(evaluation: Iterable[Mapping[str, Any]], baseline: str = "none", order: Sequence[str] = ()) -> list[Row]:
    """Rows of the table `comparison`.

    Experiments whose names differ in a `-s<seed>` at the end alone, and whose facts are the same, share a row. A row's
    gain is its mean less that of the one row that has the pre-training `baseline` and the same data and length; where
    there is none, or more than one, there is no gain.

    Args:
        evaluation: rows of the table `evaluation`, of any number of experiments.
        baseline: pre-training method that gains are measured against.
        order: names of experiments in the order wanted; others follow in alphabetical order.
    """
    groups = seeds_together(_measures_of_experiments(evaluation))
    rank = {name: position for position, name in enumerate(order)}
    ordered = sorted(groups, key=lambda rows: min((rank.get(row["experiment"], len(rank)), row["experiment"]) for row in rows))
    rows = [_over_seeds(group) for group in ordered]
    for row in rows:
        reference = [other for other in rows if other["pretrain"] == baseline and all(other[name] == row[name] for name in _ALIKE)]
        for measure in MEASURES:
            row[f"{measure}_gain"] = _gain(row, reference, measure)
    return rows


def seeds_together(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows that differ in seeds alone, group by group; each row has an `experiment` and the facts of the table `evaluation`."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[(without_seed(row["experiment"]), *(row[name] for name in _FACTS))].append(row)
    return list(groups.values())


def without_seed(experiment: str) -> str:
    """Name of an experiment less the `-s<seed>` at its end."""
    return _SEED.sub("", experiment)


def with_published(rows: Sequence[Row], published: Mapping[str, PublishedFigures]) -> list[Row]:
    """The same rows with the figures that a paper prints for them.

    Raises:
        UserError: figures are given for a row that the table does not have.
    """
    absent = sorted(set(published) - {row["experiment"] for row in rows})
    if absent:
        raise UserError(f"names no row of the table: {', '.join(absent)}", record="published", remedy="name experiments without the seed at their end")
    return [{**row, **_published(published.get(row["experiment"], PublishedFigures()))} for row in rows]


def _published(figures: PublishedFigures) -> Row:
    printed = {measure: getattr(figures, field) for measure, field in PUBLISHED.items()}
    return {f"{measure}_paper": None if value is None else value / 100.0 for measure, value in printed.items()}


def _measures_of_experiments(evaluation: Iterable[Mapping[str, Any]]) -> list[Row]:
    """One row per experiment, data set and split, with its facts, seed and measures."""
    found: dict[tuple[str, str, str], Row] = {}
    for row in evaluation:
        key = (row["experiment"], row["dataset"], row["split"])
        facts = {"experiment": row["experiment"], **{name: row[name] for name in _FACTS}, "recall_boxes": None}
        entry = found.setdefault(key, {**facts, **dict.fromkeys(MEASURES)})
        metric, threshold = row["metric"], row["threshold"]
        if row["category"] == MEAN and metric in (VOC07, AREA) and threshold in _THRESHOLDS:
            entry[f"{metric}_{_THRESHOLDS[threshold]}"] = row["ap"]
        elif row["category"] == ALL and threshold == 0.5 and metric.startswith("recall@"):
            entry.update(recall_50=row["recall"], recall_boxes=int(metric.partition("@")[2]))
    return list(found.values())


def _over_seeds(group: list[Row]) -> Row:
    first = group[0]
    row = {
        **{name: first[name] for name in (*_FACTS, "recall_boxes")},
        **_published(PublishedFigures()),
        "experiment": without_seed(first["experiment"]),
        "seeds": len(group),
    }
    for measure in MEASURES:
        values = [member[measure] for member in group if member[measure] is not None]
        row[measure] = fmean(values) if values else None
        row[f"{measure}_spread"] = stdev(values) if len(values) > 1 else None
    return row


def _gain(row: Row, reference: list[Row], measure: str) -> float | None:
    if len(reference) != 1 or reference[0] is row or row[measure] is None or reference[0][measure] is None:
        return None
    return float(row[measure] - reference[0][measure])
