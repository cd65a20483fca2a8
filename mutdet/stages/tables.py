"""Stage `tables`: experiments side by side, as Parquet, CSV and LaTeX."""

import csv

from mutdet.reporting.comparison import compare, with_published
from mutdet.reporting.latex import latex_table
from mutdet.settings.base import Runtime
from mutdet.settings.errors import UserError
from mutdet.settings.tables import TablesFiles, TablesSettings
from mutdet.tables.atomic import atomic_path
from mutdet.tables.comparison import SCHEMA
from mutdet.tables.evaluation import SCHEMA as EVALUATION_SCHEMA
from mutdet.tables.read import read_table
from mutdet.tables.write import write_table


def run(files: TablesFiles, settings: TablesSettings, runtime: Runtime) -> None:
    """Compare the experiments and write `<output>.parquet`, `.csv` and `.tex`.

    Raises:
        UserError: an experiment that the settings name is in none of the evaluations.
    """
    evaluation = read_table(files.evaluations, EVALUATION_SCHEMA.names).to_pylist()
    wanted = set(settings.experiments)
    absent = sorted(wanted - {row["experiment"] for row in evaluation})
    if absent:
        raise UserError(f"no evaluation of {', '.join(absent)} given", record="experiments", remedy="name experiments whose evaluation.parquet is given")
    chosen = [row for row in evaluation if not wanted or row["experiment"] in wanted]
    rows = with_published(compare(chosen, settings.baseline, settings.experiments), settings.published)
    write_table(files.output, rows, SCHEMA)
    with atomic_path(files.output.with_suffix(".csv")) as path, path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, SCHEMA.names)
        writer.writeheader()
        writer.writerows(rows)
    with atomic_path(files.output.with_suffix(".tex")) as path:
        path.write_text(latex_table(rows, settings.caption), encoding="utf-8")
