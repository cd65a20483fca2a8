"""Nearest-neighbour and linear probes of backbones on labelled objects and pieces of background, cut out as stage `embed` cuts them.

Neighbours are those of greatest cosine after the mean of the training features is taken off, as stage `codebook` compares features.

    python benchmarks/backbone_probe.py --data hrsc=FOLDER --data hituav=FOLDER \\
        --weights byol=a/backbone.safetensors --weights byol=b/backbone.safetensors --random resnet18 --seeds 0 1 2 --output probe.csv

FOLDER holds DOTA labels: images/, labelTxt/, train.txt, val.txt. What learns sees objects of `train`, what is scored those of `val`. Several files
under one name are trainings of one kind with other seeds. A seed chooses objects, background, and the weights of `--random`. Figures that stand
in the CSV already are not taken again. The table at the end has mean and deviation over files and seeds of each name.
"""

import argparse
import csv
import hashlib
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import machine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from mutdet.embedding.backbones import load_backbone, save_backbone
from mutdet.embedding.labelled_crops import LabelledBoxes, embed_boxes, read_labelled_boxes
from mutdet.embedding.pretrained_backbones import random_backbone
from mutdet.geometry.iou import rotated_iou
from mutdet.settings.backbone import BackboneFiles
from mutdet.settings.backbones.random import RandomBackboneSettings
from mutdet.settings.base import Runtime
from mutdet.settings.datasets import DatasetSettings, PartitionIndexFiles, PartitionTilesFiles
from mutdet.settings.embed import EmbedSettings
from mutdet.settings.seeds import generator_for
from mutdet.stages.partition import run_index, run_tiles
from mutdet.tables.read import iterate_rows, read_table

FIELDS = ["data", "name", "weights", "seed", "crop", "objects", "probe", "balanced_accuracy", "categories", "train", "val"]
BACKGROUND = "background"
SPLITS = ("train", "val")
TRIES = 20


@dataclass(frozen=True)
class Data:
    """A labelled data set as tables of tiles."""

    name: str
    tiles: dict[str, Path]
    images: Path


def prepare(name: str, folder: Path, work: Path) -> Data:
    """Tiles and index of a folder, made where they are missing."""
    settings = DatasetSettings(
        images=folder / "images", labels=folder / "labelTxt", splits={split: folder / f"{split}.txt" for split in SPLITS}, on_error="skip"
    )
    tiles = {split: work / name / f"{split}.parquet" for split in SPLITS}
    for split, path in tiles.items():
        if not path.exists():
            run_tiles(PartitionTilesFiles(output=path, name=name, split=split, shard=0, shards=1), settings, Runtime())
    images = work / name / "images.parquet"
    if not images.exists():
        run_index(PartitionIndexFiles(image_table=images, label_table=work / name / "labels.parquet", name=name), settings, Runtime())
    return Data(name, tiles, images)


def with_background(boxes: LabelledBoxes, data: Data, split: str, seed: int) -> LabelledBoxes:
    """Objects, and for each a box of the same size elsewhere in its tile that touches no object, where there is room."""
    table = read_table(data.images, ["image_id", "width", "height"]).to_pylist()
    sizes = {row["image_id"]: np.array([row["width"], row["height"]]) for row in table}
    places = {row["tile_id"]: row for row in iterate_rows(data.tiles[split], ["tile_id", "x", "y", "width", "height", "labels"])}
    objects: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(boxes.rows):
        objects[row["tile_id"]].append(number)
    everything = read_labelled_boxes([data.tiles[split]], 10**9)
    taken: dict[str, list[list[float]]] = defaultdict(list)
    for row in everything.rows:
        taken[row["tile_id"]].append(box_of(row))
    kept = []
    for tile_id, numbers in objects.items():
        place = places[tile_id]
        inside = np.minimum([place["width"], place["height"]], sizes[boxes.images[numbers[0]]] - [place["x"], place["y"]])
        generator = generator_for(seed, "probe background", tile_id)
        kept += [(number, boxes.rows[number], boxes.categories[number]) for number in numbers]
        for number in numbers:
            w, h = box_of(boxes.rows[number])[2:4]
            for _ in range(TRIES):
                box = [*generator.uniform(0.0, inside), w, h, generator.uniform(-np.pi / 2, np.pi / 2)]
                if not rotated_iou([box], taken[tile_id]).any():
                    row = dict(zip(("tile_id", "mask_id", "cx", "cy", "w", "h", "angle"), (tile_id, 10**6 + number, *box), strict=True))
                    kept.append((number, row, BACKGROUND))
                    break
    rows = [row for _, row, _ in kept]
    return LabelledBoxes(rows, np.array([name for _, _, name in kept], object), np.array([boxes.images[number] for number, _, _ in kept], object))


def box_of(row: Mapping[str, Any]) -> list[float]:
    return [row[name] for name in ("cx", "cy", "w", "h", "angle")]


def accuracies(vectors: dict[str, np.ndarray], labels: dict[str, np.ndarray], neighbours: int) -> dict[str, float]:
    """Balanced accuracy on val of both probes, categories that are in train alone or in val alone left out."""
    common = sorted(set(labels["train"]) & set(labels["val"]))
    kept = {split: np.isin(labels[split].astype(str), common) for split in SPLITS}
    x = {split: vectors[split][kept[split]] for split in SPLITS}
    y = {split: labels[split][kept[split]].astype(str) for split in SPLITS}
    centre = x["train"].mean(axis=0)
    nearest = KNeighborsClassifier(neighbours, metric="cosine", weights="distance").fit(x["train"] - centre, y["train"])
    scaler = StandardScaler().fit(x["train"])
    linear = LogisticRegression(C=0.01, max_iter=1000, class_weight="balanced").fit(scaler.transform(x["train"]), y["train"])
    return {
        "neighbours": balanced_accuracy_score(y["val"], nearest.predict(x["val"] - centre)),
        "linear": balanced_accuracy_score(y["val"], linear.predict(scaler.transform(x["val"]))),
    }


def without(boxes: LabelledBoxes, ignored: list[str]) -> LabelledBoxes:
    """Boxes but for those of some categories."""
    kept = ~np.isin(boxes.categories.astype(str), ignored)
    return LabelledBoxes([row for row, keep in zip(boxes.rows, kept, strict=True) if keep], boxes.categories[kept], boxes.images[kept])


def probe(weights: Path, data: Data, seed: int, arguments: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Rows of the CSV for one backbone."""
    backbone, _ = load_backbone(weights)
    settings = EmbedSettings(boxes="probe", backbone="probe", crop=arguments.crop)
    vectors, labels = {}, {}
    for split in SPLITS:
        chosen = without(read_labelled_boxes([data.tiles[split]], arguments.objects, seed), arguments.ignore)
        boxes = with_background(chosen, data, split, seed)
        vectors[split] = embed_boxes(backbone, [data.tiles[split]], boxes, settings, torch.device("cpu"))
        labels[split] = boxes.categories
    counts = {split: len(labels[split]) for split in SPLITS}
    for kind, value in accuracies(vectors, labels, neighbours=10).items():
        yield {"probe": kind, "balanced_accuracy": round(value, 4), "categories": len(set(labels["train"])), **counts}


def weights_files(arguments: argparse.Namespace, data: list[Data], folder: Path) -> Iterator[tuple[str, Path, list[int]]]:
    """Name, file and seeds of everything that is probed; untrained backbones are made here, one for each seed."""
    for given in arguments.weights:
        name, _, path = given.partition("=")
        yield name, Path(path), arguments.seeds
    for architecture in arguments.random:
        for seed in arguments.seeds:
            settings = RandomBackboneSettings(architecture=architecture, seed=seed)
            path = folder / f"random-{architecture}-{seed}.safetensors"
            save_backbone(path, random_backbone(settings, BackboneFiles(tiles=[part.tiles["train"] for part in data], output=path), Runtime()), "random")
            yield f"random {architecture}", path, [seed]


def take(arguments: argparse.Namespace, folder: Path) -> None:
    data = [prepare(*split_name(given), arguments.work) for given in arguments.data]
    done = read_rows(arguments.output)
    seen = {tuple(row[name] for name in FIELDS[:6]) for row in done}
    for name, path, seeds in weights_files(arguments, data, folder):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for part in data:
            for seed in seeds:
                key = dict(zip(FIELDS, (part.name, name, digest, str(seed), str(arguments.crop), str(arguments.objects)), strict=False))
                if tuple(key.values()) in seen:
                    continue
                start = time.perf_counter()
                append_rows(arguments.output, [{**key, **row} for row in probe(path, part, seed, arguments)])
                print(f"{part.name} {name} seed {seed}: {time.perf_counter() - start:.0f} s", flush=True)


def split_name(given: str) -> tuple[str, Path]:
    name, _, path = given.partition("=")
    return name, Path(path)


def read_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(newline=""))) if path.exists() else []


def append_rows(path: Path, rows: list[dict[str, object]]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerows(rows)


def show(path: Path) -> None:
    """Mean, deviation and count of every name, data set and probe."""
    groups: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for row in read_rows(path):
        groups[row["data"], row["probe"], row["name"]].append(float(row["balanced_accuracy"]))
    for (data, kind, name), values in sorted(groups.items()):
        deviation = np.std(values, ddof=1) if len(values) > 1 else float("nan")
        print(f"{data:10s} {kind:11s} {name:24s} {np.mean(values):.3f} +- {deviation:.3f} (n = {len(values)})")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--random", action="append", default=[], metavar="ARCHITECTURE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--crop", type=int, default=96, help="side of crops, pixels")
    parser.add_argument("--objects", type=int, default=1000, help="objects of each split, at most; as many pieces of background are added")
    parser.add_argument("--ignore", nargs="+", default=[], metavar="CATEGORY", help="categories that are neither object nor background")
    parser.add_argument("--output", type=Path, default=Path("backbone_probe.csv"))
    parser.add_argument("--work", type=Path, default=Path("backbone_probe"), help="folder that keeps the tables of tiles")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        take(chosen, Path(temporary))
    show(chosen.output)
