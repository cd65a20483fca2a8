"""Tables of experiments as a picture: recall before and after fine-tuning and AP50 of every arm, one row of panels for each table, as SVG.

cd docs/results; python ../../benchmarks/comparison_figure.py --table ships=tables/hrsc_ten_percent.csv \\
    --table "ships, 100 %"=tables/hrsc_all_labels.csv --table thermal=tables/hituav_close_ten_percent.csv \\
    --table "thermal, again"=tables/hituav_close_again.csv --table "thermal, longer"=tables/hituav_close_long_pretraining.csv \\
    --table "thermal, second"=tables/hituav_close_long_pretraining_second.csv \\
    --table "thermal, short"=tables/hituav_close_short.csv --table "thermal, 100 %"=tables/hituav_close_all_labels.csv \\
    --output figures/comparison.svg

Reads the CSV files that stage `tables` writes; bars are one deviation over fine-tuning seeds to either side. A panel is empty where a table has no such rows.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pyarrow import csv

ARMS = ["none", "updetr", "aligndet", "detreg", "mutdet"]
PANELS = [("recall before fine-tuning", "recall_50", False), ("recall after", "recall_50", True), ("AP50 (area), %", "area_ap50", True)]


def draw(axes: Axes, rows: list[dict], column: str) -> None:
    """Means and deviations of a column, one line for each arm that the rows hold."""
    found = {row["pretrain"]: row for row in rows}
    arms = [arm for arm in ARMS if arm in found]
    scale = 100.0 if column.endswith("ap50") else 1.0
    means = [scale * found[arm][column] for arm in arms]
    spreads = [scale * (found[arm].get(f"{column}_spread") or 0.0) for arm in arms]
    axes.errorbar(means, range(len(arms)), xerr=spreads, fmt="o", color="#2f7ed8", ecolor="#80868f", capsize=3, markersize=5)
    axes.set_yticks(range(len(arms)), arms)
    axes.set_ylim(-0.6, len(arms) - 0.4)
    axes.set_xlim(0.0, 1.08 * max(mean + spread for mean, spread in zip(means, spreads, strict=True)))
    axes.grid(axis="x", linewidth=0.4, alpha=0.6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="append", required=True, help="TITLE=CSV; repeat it")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "mutdet", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(9.0, 1.9 * len(given.table)), layout="constrained")
    for line, table in zip(figure.subplots(len(given.table), len(PANELS), squeeze=False), given.table, strict=True):
        title, path = table.split("=", 1)
        rows = csv.read_csv(path).to_pylist()
        for axes, (what, column, tuned) in zip(line, PANELS, strict=True):
            shown = [row for row in rows if (row["epochs"] != 0) == tuned]
            if not shown:
                axes.set_axis_off()
                continue
            draw(axes, shown, column)
            axes.set_title(f"{title}: {what}")
    given.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(given.output, metadata={"Date": None})


if __name__ == "__main__":
    main()
