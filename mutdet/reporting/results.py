"""Section of figures: AP, recall before fine-tuning, classes, precision-recall curves."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

import pyarrow.compute as pc

from mutdet.reporting.blocks import Block, Charts, Note, Section, Table
from mutdet.reporting.charts import Line, bars, lines
from mutdet.reporting.comparison import compare, seeds_together, without_seed
from mutdet.reporting.numbers import MISSING, gained, mean_and_spread, measured, percent, training_length
from mutdet.reporting.run_folder import RunFolder
from mutdet.settings.report import ReportSettings
from mutdet.tables.evaluation import ALL, MEAN, VOC07
from mutdet.tables.read import read_table

Row = dict[str, Any]
_GAIN = "_gain"
_PRECISIONS = {  # column of the table `comparison`: title
    "voc07_ap50": "AP50",
    "voc07_ap50_gain": "gain",
    "voc07_ap75": "AP75",
    "voc07_ap50_95": "AP50:95",
    "area_ap50": "AP50 (area)",
    "area_ap50_gain": "gain",
}
_CURVE_CLASSES = 12
_CURVE_THRESHOLD = 0.5


def read_evaluations(run: RunFolder) -> list[Row]:
    """Rows of all evaluation tables of a run."""
    tables = (run.table("evaluate", name, "evaluation.parquet") for name in run.folders("evaluate"))
    return [row for table in tables if table is not None for row in table.to_pylist()]


def results_section(run: RunFolder, settings: ReportSettings) -> Section:
    """Experiments side by side."""
    section = Section("results", "Results")
    evaluation = read_evaluations(run)
    if not evaluation:
        section.blocks.append(Note("There is no evaluation yet, so there is nothing to compare."))
        return section
    order = in_order(evaluation, settings.baseline)
    rows = compare(evaluation, settings.baseline, order)
    tuned = [row for row in rows if row["epochs"] != 0]
    section.blocks += _precision_blocks(tuned, settings.baseline)
    section.blocks += _recall_blocks(evaluation, rows, settings.baseline)
    section.blocks += _class_blocks(evaluation, order)
    section.blocks += _curve_blocks(run, order)
    return section


def _precision_blocks(rows: Sequence[Row], baseline: str) -> list[Block]:
    shown = [row for row in rows if row["voc07_ap50"] is not None or row["area_ap50"] is not None]
    if not shown:
        return [Note("No experiment has an average precision: nothing has been fine-tuned, or no class has a label.")]
    facts = ["experiment", "pre-training", "labels", "length", "seeds"]
    cells = [
        [
            row["experiment"],
            row["pretrain"] or MISSING,
            f"{percent(row['fraction'], 0)} %" if row["fraction"] is not None else MISSING,
            training_length(row),
            str(row["seeds"]),
            *(_cell(row, column) for column in _PRECISIONS),
        ]
        for row in shown
    ]
    gains = f"± is the spread over seeds; gain: points of the AP50 before it over {baseline}."
    caption = f"Average precision after fine-tuning in percent, mean over classes ({_sets(shown)}); VOC07's 11 points unless it says area. {gains}"
    strong = _best(shown, {column: place for place, column in enumerate(_PRECISIONS, start=len(facts)) if not column.endswith(_GAIN)})
    return [Table([*facts, *_PRECISIONS.values()], cells, caption, strong)]


def _cell(row: Row, column: str) -> str:
    return gained(row, column.removesuffix(_GAIN)) or MISSING if column.endswith(_GAIN) else measured(row, column)


def _recall_blocks(evaluation: Sequence[Row], rows: Sequence[Row], baseline: str) -> list[Block]:
    wanted = {row["experiment"]: row for row in rows if row["epochs"] == 0 and row["recall_50"] is not None}
    found: dict[tuple[str, float], list[float]] = defaultdict(list)
    for row in evaluation:
        if row["epochs"] == 0 and row["category"] == ALL and row["metric"].startswith("recall@") and row["recall"] is not None:
            found[without_seed(row["experiment"]), row["threshold"]].append(row["recall"])
    if not wanted:
        return [Note("No detector was evaluated before fine-tuning (a finetune variant with epochs: 0), so there is no recall of pre-training alone.")]
    thresholds = sorted({threshold for _, threshold in found})
    boxes = next(iter(wanted.values()))["recall_boxes"]
    cells = []
    for name, row in wanted.items():
        values = [mean_and_spread(found[name, threshold]) for threshold in thresholds]
        cells.append([name, row["pretrain"] or MISSING, *values, gained(row, "recall_50") or MISSING])
    headers = ["experiment", "pre-training", *(f"IoU {threshold:g}" for threshold in thresholds), "gain"]
    meaning = f"share of the labelled objects that the {boxes} best boxes of each image cover"
    caption = f"Class-agnostic recall before fine-tuning in percent: {meaning}. Gain: points at IoU 0.5 over {baseline}."
    return [Table(headers, cells, caption, _best(list(wanted.values()), {"recall_50": 2 + thresholds.index(0.5)}))]


def _class_blocks(evaluation: Sequence[Row], order: Sequence[str]) -> list[Block]:
    wanted = [row for row in evaluation if row["metric"] == VOC07 and row["threshold"] == 0.5 and row["epochs"] != 0 and row["category"] != MEAN]
    wanted = [row for row in wanted if row["ap"] is not None]
    if not wanted:
        return []
    positives = {row["category"]: row["positives"] for row in wanted}
    classes = sorted(positives)
    seeds = seeds_together(sorted(wanted, key=lambda row: order.index(row["experiment"])))
    found = [{name: [row["ap"] for row in group if row["category"] == name] for name in classes} for group in seeds]
    experiments = [without_seed(group[0]["experiment"]) for group in seeds]
    rows = [[name, str(positives[name]), *(mean_and_spread(values[name]) for values in found)] for name in classes]
    first_point = "One right box at the top of a ranking earns 9.1, the first of VOC07's 11 points: compare figures that low by AP50 (area)."
    caption = f"AP50 (VOC07) of each class in percent, mean and spread over seeds, and its labelled objects in the images evaluated. {first_point}"
    means = {experiment: [100 * fmean(values[name] or [0.0]) for name in classes] for experiment, values in zip(experiments, found, strict=True)}
    return [Table(["class", "objects", *experiments], rows, caption), Charts([bars(classes, means, "AP50 of each class, mean over seeds", "AP50, percent")])]


def _curve_blocks(run: RunFolder, order: Sequence[str]) -> list[Block]:
    curves: dict[str, dict[str, list[Line]]] = defaultdict(lambda: defaultdict(list))
    for experiment in order:
        for path in sorted((run.root / "evaluate" / experiment).rglob("curves.parquet")):
            table = read_table(path).filter(pc.field("threshold") == _CURVE_THRESHOLD)
            for category in dict.fromkeys(table["category"].to_pylist()):
                rows = table.filter(pc.field("category") == category)
                curves[category][without_seed(experiment)].append((rows["recall"].to_numpy(), rows["precision"].to_numpy()))
    if not curves:
        return [Note("There are no precision-recall curves.")]
    charts = [
        lines(by_experiment, f"{category}: precision against recall at IoU 0.5", "recall", "precision", unit_square=True)
        for category, by_experiment in sorted(curves.items())[:_CURVE_CLASSES]
    ]
    left = len(curves) - _CURVE_CLASSES
    return [Charts(charts), *([Note(f"{left} more classes have curves; see evaluate/<experiment>/.")] if left > 0 else [])]


def in_order(evaluation: Sequence[Row], baseline: str) -> list[str]:
    """Names of experiments: fewer labels first, and the baseline before what it is compared with."""
    facts = {row["experiment"]: row for row in evaluation}
    return sorted(facts, key=lambda name: (facts[name]["fraction"] or 0.0, facts[name]["pretrain"] != baseline, name))


def _sets(rows: Sequence[Row]) -> str:
    return ", ".join(sorted({f"{row['dataset']} {row['split']}" for row in rows}))


def _best(rows: Sequence[Row], columns: Mapping[str, int]) -> frozenset[tuple[int, int]]:
    """Cells of the highest figure in the column of each measure, where rows differ as they are written."""
    best = set()
    for measure, column in columns.items():
        written = {i: float(percent(row[measure])) for i, row in enumerate(rows) if row[measure] is not None}
        if len(set(written.values())) > 1:
            best |= {(i, column) for i, value in written.items() if value == max(written.values())}
    return frozenset(best)
