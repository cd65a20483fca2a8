"""Loss of trainings over their steps, one curve for each arm with a band of one deviation over its seeds, as SVG.

python benchmarks/learning_curves.py --run results/tables_hrsc --arm none='none-10-s*' --arm mutdet='mutdet-10-s*' --output hrsc.svg
Other losses of log.parquet than the usual three: --loss encoder/giou='GIoU, encoder' --loss denoising2/giou='GIoU, denoising'
Pre-trainings: --stage pretrain --arm detreg=detreg --arm mutdet=mutdet:auxiliary, where a branch of MutDet's has the losses
"""

import argparse
from itertools import cycle
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pyarrow.parquet as pq
from matplotlib.figure import Figure

LOSSES = {"total": "all losses", "decoder2/class": "class, last decoder layer", "decoder2/giou": "GIoU, last decoder layer"}
COLOURS = ["#80868f", "#e07a1f", "#2f7ed8", "#2a9d62", "#c2408a", "#1c1e21"]


def curves(stage: Path, pattern: str, loss: str) -> tuple[np.ndarray, np.ndarray]:
    """Logged steps [T] and means of a loss over the steps before each [seeds, T], of a stage's variants whose name fits the pattern."""
    variants, _, branch = pattern.partition(":")
    logs = sorted(stage.glob(f"{variants}/log.parquet"))
    if not logs:
        raise SystemExit(f"no log under {stage}/{variants}")
    name = "/".join(filter(None, ("loss", branch, loss)))
    tables = [pq.read_table(log, filters=[("name", "=", name)]).sort_by("step") for log in logs]
    return tables[0].column("step").to_numpy(), np.stack([table.column("value").to_numpy() for table in tables])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--arm", action="append", required=True, help="NAME=PATTERN of variants of the stage, and :BRANCH; repeat it")
    parser.add_argument("--stage", choices=["pretrain", "finetune"], default="finetune")
    parser.add_argument("--loss", action="append", default=[], help="NAME=TITLE of a panel; repeat it")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "mutdet", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    losses = dict(one.split("=", 1) for one in given.loss) or LOSSES
    figure = Figure(figsize=(3.0 * len(losses), 2.8), layout="constrained")
    for axes, (loss, title) in zip(figure.subplots(1, len(losses), squeeze=False)[0], losses.items(), strict=True):
        for colour, arm in zip(cycle(COLOURS), given.arm, strict=False):
            name, pattern = arm.split("=", 1)
            steps, values = curves(given.run / given.stage, pattern, loss)
            mean, deviation = values.mean(0), values.std(0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
            axes.plot(steps, mean, color=colour, linewidth=1.4, label=f"{name} ({len(values)})")
            axes.fill_between(steps, mean - deviation, mean + deviation, color=colour, alpha=0.2, linewidth=0)
        axes.set(xlabel="step", title=title)
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, loc="outside lower center", ncols=len(given.arm))
    given.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(given.output, metadata={"Date": None})


if __name__ == "__main__":
    main()
