"""A small run, written through the schemas without any stage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from mutdet.embedding.codebooks import Codebook
from mutdet.settings.base import Runtime
from mutdet.settings.report import ReportTilesFiles, ReportTilesSettings
from mutdet.stages import report_tiles
from mutdet.tables import boxes, clusters, curves, detections, evaluation, images, labels, log, masks, pseudo_labels, tiles
from mutdet.tables.vectors import vectors_to_column
from mutdet.tables.write import write_provenance, write_table

SIDE = 64
PSEUDO = pseudo_labels.schema(4)


def polygon(cx: float, cy: float, w: float, h: float, angle: float) -> list[float]:
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2 * [w, h] @ turn + [cx, cy]).ravel().tolist()


def tile(number: int, labelled: bool) -> dict[str, Any]:
    random = np.random.default_rng(number)
    image = cv2.resize(random.integers(60, 200, (8, 8, 3), np.uint8), (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    place = {"dataset": "set", "image_id": f"P{number}", "x": 0, "y": 0, "scale": 1.0, "content_fraction": 1.0, "width": SIDE, "height": SIDE}
    found = [{"polygon": polygon(*box), "category": "ship" if i % 2 else "car", "difficulty": 0} for i, box in enumerate(tile_boxes(number))]
    encoded = cv2.imencode(".png", image)[1].tobytes()
    return {"tile_id": f"P{number}__64__0___0", **place, "image": encoded, "labels": found if labelled else []}


def tile_boxes(number: int) -> list[tuple[float, float, float, float, float]]:
    random = np.random.default_rng([number, 1])
    return [(*random.uniform(12, SIDE - 12, 2), random.uniform(8, 20), random.uniform(4, 8), random.uniform(-1.5, 1.5)) for _ in range(3)]


def evaluation_rows(experiment: str, pretrain: str, seed: int, epochs: int, ap: float, recall: float) -> list[dict[str, Any]]:
    facts = {"experiment": experiment, "dataset": "set", "split": "val", "pretrain": pretrain, "fraction": 0.25, "seed": seed, "epochs": epochs}
    rows = []
    for metric in ("voc07", "area") if epochs else ():
        for threshold, factor in ((0.5, 1.0), (0.75, 0.5), (None, 0.4)):
            for category, shift in (("car", 0.1), ("ship", -0.1), ("mean", 0.0)):
                rows.append({"metric": metric, "threshold": threshold, "category": category, "ap": ap * factor + shift, "recall": 0.9, "positives": 6})
    for threshold, factor in ((0.5, 1.0), (0.75, 0.5)):
        rows.append({"metric": "recall@100", "threshold": threshold, "category": "all", "ap": None, "recall": recall * factor, "positives": 12})
    return [{**facts, "iterations": None, **row} for row in rows]


def write_partition(run: Path) -> None:
    folder = run / "partition" / "set"
    write_table(folder / "unlabelled" / "00-of-01.parquet", [tile(n, labelled=False) for n in range(6)], tiles.SCHEMA)
    write_table(folder / "val" / "00-of-01.parquet", [tile(n, labelled=True) for n in range(6, 9)], tiles.SCHEMA)
    write_table(folder / "train" / "00-of-01.parquet", [tile(n, labelled=True) for n in range(6)], tiles.SCHEMA)
    image = {"dataset": "set", "path": "p", "width": SIDE, "height": SIDE, "bands": 3, "sha256": "", "crs": None, "transform": None}
    write_table(folder / "images.parquet", [{**image, "image_id": f"P{n}", "split": ["val"] if n > 5 else ["train"]} for n in range(9)], images.SCHEMA)
    found = [{"dataset": "set", "image_id": f"P{n}", "label_id": i, **label} for n in range(6, 9) for i, label in enumerate(tile(n, labelled=True)["labels"])]
    write_table(folder / "labels.parquet", found, labels.SCHEMA)


def write_report_tiles(run: Path, count: int = 2) -> None:
    folder = run / "partition" / "set"
    unlabelled, train = folder / "unlabelled" / "00-of-01.parquet", folder / "train" / "00-of-01.parquet"
    files = ReportTilesFiles(unlabelled=[unlabelled], train=[train], output=run / "report" / "tiles" / "set.parquet")
    report_tiles.run(files, ReportTilesSettings(tiles=count), Runtime())


def write_proposals(run: Path) -> None:
    mask_rows, box_rows, pseudo_rows = [], [], []
    for number in range(5):
        for mask_id, (cx, cy, w, h, angle) in enumerate(tile_boxes(number)):
            key = {"tile_id": f"P{number}__64__0___0", "mask_id": mask_id}
            pixels = np.zeros((SIDE, SIDE), np.uint8)
            cv2.fillPoly(pixels, [np.array(polygon(cx, cy, w, h, angle)).reshape(4, 2).astype(int)], 1)
            code = {**coco.encode(np.asfortranarray(pixels)), "area": int(pixels.sum()), "bbox": [cx, cy, w, h], "point": [cx, cy]}
            mask_rows.append({**key, **code, "predicted_iou": 0.9, "stability_score": 0.95})
            box = {"cx": cx, "cy": cy, "w": w, "h": h, "angle": angle, "polygon": polygon(cx, cy, w, h, angle), "score": 0.9}
            box_rows.append({**key, **box, "mask_area": int(pixels.sum()), "fill": 0.9})
            vector = vectors_to_column(np.eye(4)[mask_id][None])[0].as_py()
            pseudo_rows.append({**key, **box, "category": mask_id, "similarity": 0.8, "embedding": vector})
    write_table(run / "masks" / "sam" / "set" / "00-of-01.parquet", mask_rows, masks.SCHEMA)
    write_table(run / "boxes" / "b" / "set" / "00-of-01.parquet", box_rows, boxes.SCHEMA)
    write_provenance(run / "boxes" / "b" / "set" / "00-of-01.parquet", settings={"masks": "sam", "min_side": 2})
    write_table(run / "pseudo_labels" / "k" / "set" / "00-of-01.parquet", pseudo_rows, PSEUDO)


def write_codebook(run: Path) -> None:
    eye = np.eye(4, 6, dtype=np.float32)
    book = Codebook(np.zeros(6, np.float32), eye, np.array([4, 3, 2, 1], np.float32), np.array([11], np.float32), np.eye(4, dtype=np.float32)[:3])
    book.save(run / "codebook" / "k" / "codebook.safetensors")
    rows = [{"cluster": c, "size": 5, "share": 1 / 3, "mean_similarity": 0.8, "min_similarity": 0.7} for c in range(3)]
    write_table(run / "codebook" / "k" / "clusters.parquet", rows, clusters.SCHEMA)


def detection_rows(number: int, epochs: int) -> list[dict[str, Any]]:
    found = []
    for i, (cx, cy, w, h, angle) in enumerate(tile_boxes(number)):
        box = {"cx": cx + i, "cy": cy, "w": w, "h": h, "angle": angle, "polygon": polygon(cx + i, cy, w, h, angle)}
        category = "object" if not epochs else "ship" if i % 2 else "car"
        found.append({"dataset": "set", "image_id": f"P{number}", **box, "score": 0.9 - i / 10, "category": category})
    return found


def write_experiments(run: Path) -> None:
    for name, method, seed, epochs, ap, recall in (
        ("none-0", "none", 0, 0, 0.0, 0.1),
        ("mutdet-0", "mutdet", 0, 0, 0.0, 0.6),
        ("none-25-s0", "none", 0, 12, 0.3, 0.5),
        ("none-25-s1", "none", 1, 12, 0.4, 0.6),
        ("mutdet-25-s0", "mutdet", 0, 12, 0.5, 0.7),
    ):
        write_table(run / "evaluate" / name / "evaluation.parquet", evaluation_rows(name, method, seed, epochs, ap, recall), evaluation.SCHEMA)
        curve = [{"category": "car", "threshold": 0.5, "recall": r, "precision": 1 - r / 2, "score": 1 - r} for r in np.linspace(0, 0.8, 20) if epochs]
        write_table(run / "evaluate" / name / "curves" / "curves.parquet", curve, curves.SCHEMA)
        whole = [row for number in range(6, 9) for row in detection_rows(number, epochs)]
        write_table(run / "detect" / name / "detections.parquet", whole, detections.SCHEMA)
        single = [{"tile_id": f"P{number}__64__0___0", **row} for number in range(6) for row in detection_rows(number, epochs)]
        write_table(run / "detect" / name / "pictures.parquet", single, detections.TILE_SCHEMA)
        steps = range(10, 200, 10) if epochs else ()
        values = [(step, f"loss/{term}", scale / step) for step in steps for term, scale in (("decoder0/class", 3.0), ("decoder1/class", 2.0), ("total", 9.0))]
        rows = [{"step": step, "epoch": step / 10, "name": label, "value": value} for step, label, value in values]
        write_table(run / "finetune" / name / "log.parquet", rows, log.SCHEMA)


def write_backbones(run: Path) -> None:
    for name in ("learned", "random"):
        (run / "backbone" / name).mkdir(parents=True)
    rows = [{"step": step, "epoch": step / 10, "name": name, "value": 1.0 / step} for step in (10, 20) for name in ("feature_deviation", "loss/total")]
    write_table(run / "backbone" / "learned" / "log.parquet", rows, log.SCHEMA)


def write_benchmarks(run: Path) -> None:
    for stage, seconds in (("masks", 30.5), ("pretrain", 120.0)):
        path = run / "benchmarks" / stage / "a.tsv"
        path.parent.mkdir(parents=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:30\t512.5\n")


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[[], Path]:
    def make() -> Path:
        run = tmp_path / "demo"
        for write in (write_partition, write_report_tiles, write_proposals, write_codebook, write_backbones, write_experiments, write_benchmarks):
            write(run)
        return run

    return make
