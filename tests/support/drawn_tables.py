"""Small drawn images with rotated objects, as the tables that trainings read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import torch

from mutdet.embedding.backbones import build_backbone, save_backbone
from mutdet.geometry.rotated_boxes import corners
from mutdet.settings.detectors import DetectorSettings
from mutdet.tables import images, labels, pseudo_labels, tiles
from mutdet.tables.vectors import vectors_to_column
from mutdet.tables.write import TableWriter, write_table

CATEGORIES = {"car": (220, 60, 40), "ship": (240, 240, 240)}
TINY = DetectorSettings(
    backbone="resnet18", width=32, heads=4, points=2, feed_forward=64, encoder_layers=1, decoder_layers=2, queries=12, dropout=0.0, denoising_queries=8
)


@dataclass(frozen=True)
class Drawn:
    """Tables of drawn images, one tile each, in `shards` files.

    Attributes:
        boxes: tile id -> [M, 5] boxes.
        names: tile id -> categories of these boxes.
    """

    folder: Path
    tiles: list[Path]
    pseudo_labels: list[Path]
    images: Path
    labels: Path
    backbone: Path
    boxes: dict[str, np.ndarray]
    names: dict[str, list[str]]


def draw_objects(count: int, side: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """[M, 5] boxes that do not touch, le90, and their categories; cars are small, ships long."""
    random = np.random.default_rng(seed)
    cells = random.permutation(9)[:count]
    boxes, names = [], []
    for cell in cells:
        name = random.choice(sorted(CATEGORIES))
        w, h = (side * 0.16, side * 0.11) if name == "car" else (side * 0.24, side * 0.1)
        centre = (np.array([cell % 3, cell // 3]) + 0.5 + random.uniform(-0.08, 0.08, 2)) * side / 3
        boxes.append([*centre, w, h, random.uniform(-np.pi / 2, np.pi / 2)])
        names.append(str(name))
    return np.array(boxes, np.float32).reshape(-1, 5), names


def paint(boxes: np.ndarray, names: list[str], side: int, seed: int) -> np.ndarray:
    """[side, side, 3] uint8 RGB image of filled boxes on a noisy ground."""
    image = np.random.default_rng([seed, 1]).normal(90, 6, (side, side, 3)).clip(0, 255).astype(np.uint8)
    for box, name in zip(corners(boxes), names, strict=True):
        cv2.fillPoly(image, [np.round((box - 0.5) * 16).astype(np.int32)], CATEGORIES[name], cv2.LINE_AA, 4)
    return image


def tile_row(tile_id: str, image: np.ndarray, boxes: np.ndarray, names: list[str], **place: Any) -> dict[str, Any]:
    """Row of the tiles table."""
    polygons = corners(boxes).reshape(-1, 8).tolist()
    found = [{"polygon": polygon, "category": name, "difficulty": 0} for polygon, name in zip(polygons, names, strict=True)]
    encoded = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
    row = {"tile_id": tile_id, "dataset": "drawn", "image_id": tile_id.split("__")[0], "x": 0, "y": 0, "scale": 1.0, "content_fraction": 1.0}
    return {**row, "width": image.shape[1], "height": image.shape[0], "image": encoded, "labels": found, **place}


def pseudo_table(tile_ids: list[str], boxes: dict[str, np.ndarray], names: dict[str, list[str]], width: int) -> pa.Table:
    """Pseudo labels whose embeddings tell the categories apart."""
    rows = [(tile_id, mask, *box, names[tile_id][mask]) for tile_id in sorted(tile_ids) for mask, box in enumerate(boxes[tile_id].tolist())]
    random = np.random.default_rng(0)
    kinds = np.array([sorted(CATEGORIES).index(row[-1]) for row in rows], np.int64)
    vectors = random.normal(size=(2, width))[kinds] + 0.5 * random.normal(size=(len(rows), width))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(min=1e-9)
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in range(8)]
    polygons = corners(np.array([row[2:7] for row in rows], np.float32).reshape(-1, 5)).reshape(-1, 8)
    return pa.table(
        [
            pa.array(columns[0], pa.string()),
            pa.array(columns[1], pa.int32()),
            *(pa.array(column, pa.float32()) for column in columns[2:7]),
            pa.array(polygons.tolist(), pa.list_(pa.float32(), 8)),
            pa.array(np.linspace(1.0, 0.5, len(rows)), pa.float32()),
            pa.array(kinds, pa.int32()),
            pa.array(np.full(len(rows), 0.9), pa.float32()),
            vectors_to_column(vectors),
        ],
        schema=pseudo_labels.schema(width),
    )


def draw_tables(folder: Path, count: int = 6, *, side: int = 96, objects: int = 4, shards: int = 1, width: int = TINY.width) -> Drawn:
    """Write tiles, images, labels, pseudo labels and an untrained backbone; the last image is empty where there are more than four."""
    ids = [f"img{number:02d}__{side}__0___0" for number in range(count)]
    boxes, names = {}, {}
    for number, tile_id in enumerate(ids):
        boxes[tile_id], names[tile_id] = draw_objects(0 if number == count - 1 and count > 4 else objects, side, number)
    tile_paths, pseudo_paths = [], []
    for shard in range(shards):
        members = ids[shard::shards]
        tile_paths.append(folder / f"tiles{shard}.parquet")
        pseudo_paths.append(folder / f"pseudo{shard}.parquet")
        rows = [tile_row(name, paint(boxes[name], names[name], side, ids.index(name)), boxes[name], names[name]) for name in members]
        write_table(tile_paths[-1], rows, tiles.SCHEMA, rows_per_group=tiles.ROWS_PER_GROUP)
        write_table(pseudo_paths[-1], pseudo_table(members, boxes, names, width), pseudo_labels.schema(width))
    _write_index(folder, ids, side, boxes, names)
    torch.manual_seed(0)
    save_backbone(folder / "backbone.safetensors", build_backbone("resnet18"), "random")
    paths = (folder / "images.parquet", folder / "labels.parquet", folder / "backbone.safetensors")
    return Drawn(folder, tile_paths, pseudo_paths, *paths, boxes, names)


def _write_index(folder: Path, ids: list[str], side: int, boxes: dict[str, np.ndarray], names: dict[str, list[str]]) -> None:
    common = {"width": side, "height": side, "bands": 3, "sha256": "", "crs": None, "transform": None}
    rows = [{"dataset": "drawn", "image_id": name.split("__")[0], "split": ["train"], "path": name, **common} for name in ids]
    write_table(folder / "images.parquet", rows, images.SCHEMA)
    with TableWriter(folder / "labels.parquet", labels.SCHEMA) as writer:
        for name in ids:
            place = {"dataset": "drawn", "image_id": name.split("__")[0], "difficulty": 0}
            polygons = corners(boxes[name]).reshape(-1, 8).tolist()
            found = enumerate(zip(polygons, names[name], strict=True))
            writer.write([{**place, "label_id": number, "polygon": polygon, "category": category} for number, (polygon, category) in found])
