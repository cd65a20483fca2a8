"""Section of the tables that the config asks for, the paper's figures beside ours."""

from collections.abc import Sequence
from typing import Any

from mutdet.reporting.blocks import Note, Section, Table
from mutdet.reporting.numbers import MISSING, gained, measured, percent, training_length
from mutdet.reporting.run_folder import RunFolder
from mutdet.settings.report import ReportSettings

Row = dict[str, Any]
_MEASURES = {"voc07_ap50": "AP50", "voc07_ap75": "AP75", "area_ap50": "AP50 (area)", "recall_50": "recall"}
_PAPER = {"voc07_ap50_paper": "AP50 in the paper", "voc07_ap75_paper": "AP75 in the paper"}


def tables_section(run: RunFolder, settings: ReportSettings) -> Section:
    """Every table of the run."""
    section = Section("tables", "Tables")
    for path in sorted((run.root / "tables").glob("*.parquet")):
        table = run.table("tables", path.name)
        if table is not None and len(table):
            section.blocks.append(_table(path.stem, table.to_pylist()))
    if not section.blocks:
        section.blocks.append(Note("No table of experiments has been made."))
    return section


def _table(name: str, rows: Sequence[Row]) -> Table:
    shown = {measure: title for measure, title in _MEASURES.items() if any(row[measure] is not None for row in rows)}
    printed = {column: title for column, title in _PAPER.items() if any(row[column] is not None for row in rows)}
    headers = ["experiment", "labels", "length", "seeds", *(part for title in shown.values() for part in (title, "gain")), *printed.values()]
    figures = "Percent; ± is the standard deviation over seeds, gain is points over the same without pre-training"
    files = f"tables/{name}.csv and .tex hold the same."
    return Table(headers, [_cells(row, list(shown), list(printed)) for row in rows], f"Table {name}. {figures}. {files}", frozenset())


def _cells(row: Row, measures: Sequence[str], printed: Sequence[str]) -> list[str]:
    labels = MISSING if row["fraction"] is None or row["epochs"] == 0 else f"{percent(row['fraction'], 0)} %"
    figures = [part for measure in measures for part in (measured(row, measure), gained(row, measure) or MISSING)]
    return [row["experiment"], labels, training_length(row), str(row["seeds"]), *figures, *(percent(row[column]) for column in printed)]
