"""Section of loss curves."""

import re
from collections import defaultdict
from collections.abc import Mapping

import numpy as np
import pyarrow.compute as pc

from mutdet.reporting.blocks import Block, Charts, Note, Picture, Section
from mutdet.reporting.charts import Line, lines
from mutdet.reporting.comparison import without_seed
from mutdet.reporting.run_folder import RunFolder
from mutdet.settings.report import ReportSettings

_TOTAL = "loss/total"
_PREFIX = "loss/"
_LAYER = re.compile(r"\d+$")
_OF_FEATURES = {
    "feature_deviation": "Deviation of unit features; 0: all tiles look the same, 1: spread evenly",
    "neighbour_accuracy": "Balanced accuracy of the nearest labelled neighbours",
}


def trainings_section(run: RunFolder, settings: ReportSettings) -> Section:
    """Total loss of all trainings of a stage, the parts of each, and what tells whether a backbone's features collapse."""
    section = Section("trainings", "Trainings")
    section.blocks += _backbone_blocks(run)
    for stage, title in (("pretrain", "Pre-training"), ("finetune", "Fine-tuning")):
        section.blocks += _stage_blocks(run, stage, title)
    if not section.blocks:
        section.blocks.append(Note("Nothing has been trained yet."))
    return section


def _backbone_blocks(run: RunFolder) -> list[Block]:
    """Backbones that were trained here; the others have no log."""
    logs = {variant: curves for variant in run.folders("backbone") if (curves := _log(run, "backbone", variant))}
    charts = _loss_charts(logs, "Backbone")
    for name, caption in _OF_FEATURES.items():
        found = _seeds_alike({variant: curves[name] for variant, curves in logs.items() if name in curves})
        if found:
            charts.append(lines(found, caption, "step", name.replace("_", " ")))
    return [Charts(charts)] if charts else []


def _stage_blocks(run: RunFolder, stage: str, title: str) -> list[Block]:
    logs = {variant: _log(run, stage, variant) for variant in run.folders(stage)}
    untrained = sorted(variant for variant, curves in logs.items() if _TOTAL not in curves)
    charts = _loss_charts(logs, title)
    blocks: list[Block] = [Charts(charts)] if charts else []
    if untrained:
        blocks.append(Note(f"{title}: {', '.join(untrained)} took no training step."))
    return blocks


def _loss_charts(logs: Mapping[str, dict[str, Line]], title: str) -> list[Picture]:
    totals = {variant: curves[_TOTAL] for variant, curves in logs.items() if _TOTAL in curves}
    charts = [lines(_seeds_alike(totals), f"{title}: total loss", "step", "loss")] if totals else []
    for variant in totals:
        parts = {term: [line] for term, line in _terms(logs[variant]).items()}
        if parts:
            charts.append(lines(parts, f"{title} {variant}: terms of the loss, layers and branches added up", "step", "loss"))
    return charts


def _seeds_alike(curves: Mapping[str, Line]) -> dict[str, list[Line]]:
    """Curves of variants by their name without the seed."""
    alike: dict[str, list[Line]] = defaultdict(list)
    for variant, line in curves.items():
        alike[without_seed(variant)].append(line)
    return alike


def _log(run: RunFolder, stage: str, variant: str) -> dict[str, Line]:
    """Curves by name: steps and values."""
    table = run.table(stage, variant, "log.parquet", columns=["step", "name", "value"])
    curves: dict[str, Line] = {}
    if table is None:
        return curves
    for name in sorted(set(table["name"].to_pylist())):
        rows = table.filter(pc.field("name") == name)
        curves[name] = (rows["step"].to_numpy(), rows["value"].to_numpy())
    return curves


def _terms(curves: dict[str, Line]) -> dict[str, Line]:
    """Curves added up by the last part of their names, such as `class` or `angle`."""
    sums: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    for name, (steps, values) in curves.items():
        if name.startswith(_PREFIX) and name != _TOTAL:
            term = _LAYER.sub("", name.rsplit("/", 1)[-1])
            for step, value in zip(np.asarray(steps), np.asarray(values), strict=True):
                sums[term][step] += value
    return {term: (sorted(points), [points[step] for step in sorted(points)]) for term, points in sums.items()}
