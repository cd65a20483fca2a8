"""How well a linear probe tells, from one cell of a backbone's maps, whether an object touches that cell: what a detector's neck starts from.

    python benchmarks/cell_probe.py --data FOLDER --weights random=a/backbone.safetensors --weights byol=b/backbone.safetensors --ignore dont-care

FOLDER holds DOTA labels: images/, labelTxt/, train.txt, val.txt. Batch norm takes the statistics of the tiles of `train`, as fine-tuning does. The
probe learns from cells of `train` and is scored on cells of `val`: area under the ROC curve, 0.5 by chance. Several files under one name are
trainings of one kind with other seeds; shown are mean and deviation over them.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from backbone_probe import SPLITS, prepare, split_name
from measuring import machine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.nn import functional

from mutdet.embedding.backbones import load_backbone as read_backbone
from mutdet.embedding.tile_images import decode_image, normalised
from mutdet.nn.backbones import Backbone, build_backbone, load_backbone, reestimate_batch_norm
from mutdet.settings.seeds import seed_for
from mutdet.tables.read import iterate_rows

STRIDES = (8, 16, 32)
STATISTICS_BATCH = 8
NEGATIVES = 5

Tile = tuple[Tensor, Tensor]
"""Normalised image [3, H, W], and which of its pixels belong to an object [1, H, W] in {0, 1}."""


def read_tiles(path: Path, side: int, limit: int, ignored: list[str]) -> list[Tile]:
    """At most `limit` tiles with objects, chosen by hash, scaled to a longer side."""
    rows = [row for row in iterate_rows(path, ["tile_id", "image", "labels"]) if any(label["category"] not in ignored for label in row["labels"])]
    chosen = sorted(rows, key=lambda row: seed_for(0, "cell probe", row["tile_id"]))[:limit]
    return [tile(row, side, ignored) for row in chosen]


def tile(row: dict[str, object], side: int, ignored: list[str]) -> Tile:
    pixels = decode_image(row["image"], row["tile_id"])
    mask = np.zeros(pixels.shape[:2], np.uint8)
    for label in row["labels"]:
        if label["category"] not in ignored:
            cv2.fillPoly(mask, [np.asarray(label["polygon"]).reshape(-1, 2).round().astype(np.int32)], 1)
    scale = side / max(mask.shape)
    height, width = (32 * max(1, round(scale * length / 32)) for length in mask.shape)
    image = normalised(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))
    return image, torch.from_numpy(cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)).float()[None]


def ready_backbone(path: Path, tiles: list[Tile]) -> Backbone:
    source, _ = read_backbone(path)
    backbone = build_backbone(source.architecture)
    load_backbone(backbone, source.body.state_dict(), path)
    images = [image for image, _ in tiles]
    reestimate_batch_norm(backbone, (torch.stack(images[start : start + STATISTICS_BATCH]) for start in range(0, len(images), STATISTICS_BATCH)))
    return backbone.eval()


@torch.inference_mode()
def cells(backbone: Backbone, tiles: list[Tile]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of every level: features [N, C] of all cells, and whether an object touches them [N]."""
    features: dict[int, list[Tensor]] = defaultdict(list)
    touched: dict[int, list[Tensor]] = defaultdict(list)
    for image, mask in tiles:
        for stride, level in zip(STRIDES, backbone(image[None]), strict=True):
            features[stride].append(level[0].flatten(1).T)
            touched[stride].append(functional.max_pool2d(mask, stride).flatten())
    for stride in STRIDES:
        yield torch.cat(features[stride]).numpy(), torch.cat(touched[stride]).numpy() > 0.5


def area_under_curve(train: tuple[np.ndarray, np.ndarray], val: tuple[np.ndarray, np.ndarray], most: int) -> float:
    """Of a logistic regression, fitted on at most `most` cells with an object and some times as many without."""
    x, y = train
    generator = np.random.default_rng(0)
    chosen = np.concatenate([generator.permutation(np.flatnonzero(y == kind))[: most * (1 if kind else NEGATIVES)] for kind in (True, False)])
    scaler = StandardScaler().fit(x[chosen])
    probe = LogisticRegression(C=0.01, max_iter=300, class_weight="balanced").fit(scaler.transform(x[chosen]), y[chosen])
    return float(roc_auc_score(val[1], probe.decision_function(scaler.transform(val[0]))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--weights", action="append", required=True, metavar="NAME=FILE")
    parser.add_argument("--ignore", nargs="+", default=[], metavar="CATEGORY")
    parser.add_argument("--side", type=int, default=320, help="longer side of a tile as the network sees it, pixels")
    parser.add_argument("--tiles", type=int, default=150, help="of each split, at most")
    parser.add_argument("--cells", type=int, default=3000, help="with an object, from which a probe learns, at most")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    figures: dict[tuple[str, int], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as work:
        data = prepare("data", given.data, Path(work))
        tiles = {split: read_tiles(data.tiles[split], given.side, given.tiles, given.ignore) for split in SPLITS}
    for name, path in map(split_name, given.weights):
        backbone = ready_backbone(path, tiles["train"])
        for stride, train, val in zip(STRIDES, cells(backbone, tiles["train"]), cells(backbone, tiles["val"]), strict=True):
            figures[name, stride].append(area_under_curve(train, val, given.cells))
    for (name, stride), values in figures.items():
        deviation = np.std(values, ddof=1) if len(values) > 1 else float("nan")
        print(f"{name:24s} stride {stride:2d} {np.mean(values):.3f} +- {deviation:.3f} (n = {len(values)})")


if __name__ == "__main__":
    main()
