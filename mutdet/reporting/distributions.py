"""Section of histograms."""

from collections import Counter

import numpy as np

from mutdet.reporting.blocks import Block, Charts, Note, Section
from mutdet.reporting.charts import bars, histogram
from mutdet.reporting.run_folder import RunFolder
from mutdet.settings.report import ReportSettings
from mutdet.tables.read import read_table


def distributions_section(run: RunFolder, settings: ReportSettings) -> Section:
    """Masks per tile, and sides, aspect, angle and score of boxes, of every variant; labels of every data set."""
    section = Section("distributions", "Distributions")
    for variant in run.folders("masks"):
        section.blocks += _mask_blocks(run, variant)
    for variant in run.folders("boxes"):
        section.blocks += _box_blocks(run, variant)
    for dataset in run.folders("partition"):
        section.blocks += _label_blocks(run, dataset)
    if not section.blocks:
        section.blocks.append(Note("There are no masks, boxes or labels to count."))
    return section


def _mask_blocks(run: RunFolder, variant: str) -> list[Block]:
    per_tile, datasets = Counter(run.column(run.sharded("masks", variant), "tile_id")), run.folders(f"masks/{variant}")
    tiles = sum(run.count(run.shards("partition", dataset, "unlabelled")) for dataset in datasets)
    if not per_tile:
        return [Note(f"Masks {variant}: no tile has one.")]
    counts = np.array([*per_tile.values(), *[0] * max(tiles - len(per_tile), 0)])
    quality = read_table(run.sharded("masks", variant), ["predicted_iou", "stability_score", "area"])
    charts = [
        histogram(counts, f"Masks of a tile ({variant}); mean {counts.mean():.1f}", "masks"),
        histogram(np.sqrt(quality["area"].to_numpy()), "Size of masks", "square root of the area, pixels", limits=_limits(np.sqrt(quality["area"].to_numpy()))),
        histogram(quality["predicted_iou"].to_numpy(), "Quality as the generator estimates it", "predicted IoU", limits=(0, 1)),
        histogram(quality["stability_score"].to_numpy(), "Stability of masks", "stability score", limits=(0, 1)),
    ]
    return [Note(f"Masks {variant}: {len(quality)} on {tiles} tiles."), Charts(charts)]


def _box_blocks(run: RunFolder, variant: str) -> list[Block]:
    paths = run.sharded("boxes", variant)
    if not run.count(paths):
        return [Note(f"Boxes {variant}: there are none.")]
    table = read_table(paths, ["w", "h", "angle", "fill", "score"])
    w, h = table["w"].to_numpy(), table["h"].to_numpy()
    aspect = w / np.maximum(h, 1e-6)
    charts = [
        histogram(w, "Long side of boxes", "pixels", limits=_limits(w)),
        histogram(h, "Short side of boxes", "pixels", limits=_limits(h)),
        histogram(aspect, "Aspect of boxes", "long side / short side", limits=_limits(aspect)),
        histogram(np.rad2deg(table["angle"].to_numpy()), "Angle of boxes", "degrees, clockwise", bins=36, limits=(-90, 90)),
        histogram(table["fill"].to_numpy(), "Share of a box that its mask fills", "fill", limits=(0, 1.2)),
        histogram(table["score"].to_numpy(), "Score of boxes", "score", limits=(0, 1)),
    ]
    return [Note(f"Boxes {variant}: {len(table)}. The outer bins also count what lies beyond."), Charts(charts)]


def _label_blocks(run: RunFolder, dataset: str) -> list[Block]:
    table = run.table("partition", dataset, "labels.parquet", columns=["category"])
    if table is None or not len(table):
        return [Note(f"Data set {dataset} has no labels.")]
    counts = Counter(table["category"].to_pylist()).most_common()
    names, numbers = [name for name, _ in counts], [float(number) for _, number in counts]
    return [Charts([bars(names, {"labels": numbers}, f"Labelled objects of each class in {dataset}, all splits", "objects")])]


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Where a histogram with a long tail begins and ends."""
    return float(values.min()), float(np.quantile(values, 0.99))
