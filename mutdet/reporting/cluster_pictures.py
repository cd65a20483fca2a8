"""Section of the codebook: crops of each cluster, cluster sizes, explained variance."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from mutdet.embedding.codebooks import Codebook
from mutdet.embedding.rotated_crops import rotated_crops
from mutdet.embedding.tile_images import MEAN, STD, decode_image, normalised
from mutdet.reporting.blocks import Block, Charts, Note, Picture, Section, Strips
from mutdet.reporting.charts import lines
from mutdet.reporting.drawing import picture
from mutdet.reporting.numbers import percent, thousands
from mutdet.reporting.run_folder import RunFolder
from mutdet.settings.embed import EmbedSettings
from mutdet.settings.report import ReportSettings
from mutdet.tables.read import read_table

_BOX = ["cx", "cy", "w", "h", "angle"]
_GAP = 3


def clusters_section(run: RunFolder, settings: ReportSettings) -> Section:
    """One part per codebook."""
    section = Section("clusters", "Codebook")
    for variant in run.folders("codebook"):
        section.blocks += _codebook_blocks(run, variant)
        section.blocks += _montage_blocks(run, variant, settings)
    if not section.blocks:
        section.blocks.append(Note("There is no codebook, so there are no clusters to show."))
    return section


def _codebook_blocks(run: RunFolder, variant: str) -> list[Block]:
    path, clusters = run.root / "codebook" / variant / "codebook.safetensors", run.table("codebook", variant, "clusters.parquet")
    if not path.is_file() or clusters is None:
        return [Note(f"Codebook {variant} is not complete.")]
    book = Codebook.load(path)
    total = max(float(book.total_variance[0]), 1e-30)
    shares = np.cumsum(book.explained_variance) / total
    sizes = clusters["size"].to_numpy()
    numbers = np.arange(len(sizes))
    text = (
        f"Codebook {variant}: {thousands(int(sizes.sum()))} objects in {int((sizes > 0).sum())} clusters, {percent(sizes[0] / sizes.sum())} % in the largest. "
        f"{len(book.components)} principal components keep {percent(float(shares[-1]))} % of the variance of {len(book.mean)} numbers; "
        f"projected, objects spread as over {book.spread():.1f} directions of equal variance (near 1, all point one of two ways)."
    )
    variance = lines({"share": [(np.arange(1, len(shares) + 1), shares)]}, "Variance explained by the first components", "components", "share of the variance")
    size = lines({"objects": [(numbers, sizes)]}, "Objects of each cluster, largest first", "cluster", "objects")
    similarity = clusters["mean_similarity"].to_numpy()
    typical = lines({"mean cosine": [(numbers, similarity)]}, "How alike the objects of a cluster are", "cluster", "mean cosine to the centre")
    return [Note(text), Charts([size, variance, typical])]


def _montage_blocks(run: RunFolder, variant: str, settings: ReportSettings) -> list[Block]:
    paths = run.sharded("pseudo_labels", variant)
    if not paths or not settings.clusters:
        return [Note(f"There are no pseudo labels of codebook {variant} to cut crops from.")]
    table = read_table(paths, ["category", "similarity"])
    category, similarity = table["category"].to_numpy(), table["similarity"].to_numpy()
    sizes = np.bincount(category, minlength=1)
    largest = [int(c) for c in np.argsort(-sizes, kind="stable")[: settings.clusters] if sizes[c]]
    chosen = {c: _most_typical(np.flatnonzero(category == c), similarity, settings.crops) for c in largest}
    crops = _crops(run, paths, np.concatenate([*chosen.values(), np.zeros(0, int)]), settings.crop_side, _enlarged(run, variant))
    strips = [_strip([crops[int(row)] for row in rows if int(row) in crops], c, sizes[c], similarity[category == c].mean()) for c, rows in chosen.items()]
    shown = [strip for strip in strips if strip is not None]
    return [
        Note(f"Crops of the {len(shown)} largest clusters, as the backbone sees them (long side across, grey outside the tile), most typical first."),
        Strips(shown),
    ]


def _most_typical(rows: np.ndarray, similarity: np.ndarray, count: int) -> np.ndarray:
    return rows[np.argsort(-similarity[rows], kind="stable")[:count]]


def _enlarged(run: RunFolder, variant: str) -> float:
    """Factor on both sides of a box for the crops that the codebook's embeddings come from; the usual one where no note of it is left."""
    codebook = run.settings("codebook", variant)
    embed = run.settings("embed", codebook["embed"]) if codebook else None
    return float(embed["enlarge"] if embed else EmbedSettings.model_fields["enlarge"].get_default())


def _crops(run: RunFolder, paths: Sequence[Path], rows: np.ndarray, side: int, enlarge: float) -> dict[int, np.ndarray]:
    """Crops [side, side, 3] uint8 by row of the pseudo labels; each tile is decoded once."""
    objects = read_table(list(paths), ["tile_id", *_BOX]).take(pa.array(rows)).to_pylist()
    by_tile: dict[str, list[tuple[int, dict[str, Any]]]] = defaultdict(list)
    for row, found in zip(rows.tolist(), objects, strict=True):
        by_tile[found["tile_id"]].append((row, found))
    tables = [path for dataset in run.folders("partition") for path in run.shards("partition", dataset, "unlabelled")]
    crops: dict[int, np.ndarray] = {}
    for tile_id, tile in run.tiles(tables, ["image"], list(by_tile)).items():
        image = normalised(decode_image(tile["image"], tile_id))
        boxes = torch.tensor([[found[name] for name in _BOX] for _, found in by_tile[tile_id]])
        cut = rotated_crops(image, boxes, side, enlarge).permute(0, 2, 3, 1) * torch.tensor(STD) + torch.tensor(MEAN)
        crops.update(zip([row for row, _ in by_tile[tile_id]], cut.clamp(0, 255).byte().numpy(), strict=True))
    return crops


def _strip(crops: list[np.ndarray], cluster: int, size: int, similarity: float) -> Picture | None:
    if not crops:
        return None
    gap = np.full((len(crops[0]), _GAP, 3), 128, np.uint8)
    parts = [part for crop in crops for part in (crop, gap)][:-1]
    return picture(np.concatenate(parts, axis=1), f"cluster {cluster}: {thousands(int(size))} objects, mean cosine {similarity:.2f}")
