"""Small tables of tiles, boxes and embeddings."""

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest

from mutdet.tables import boxes, embeddings, tiles
from mutdet.tables.vectors import vectors_to_column
from mutdet.tables.write import write_table

Keys = Sequence[tuple[str, int]]


def tile_row(tile_id: str, side: int = 64) -> dict[str, object]:
    seed = sum(tile_id.encode())
    image = cv2.resize(np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
    encoded = cv2.imencode(".png", image)[1].tobytes()
    place = {"dataset": "set", "image_id": tile_id.split("__")[0], "x": 0, "y": 0, "scale": 1.0, "content_fraction": 1.0}
    return {"tile_id": tile_id, **place, "width": side, "height": side, "image": encoded, "labels": []}


def box_row(key: tuple[str, int], side: int = 64) -> dict[str, object]:
    random = np.random.default_rng([sum(key[0].encode()), key[1]])
    (cx, cy), h = random.uniform(10, side - 10, 2), random.uniform(4, 12)
    w, angle = h * random.uniform(1, 3), random.uniform(-np.pi / 2, np.pi / 2)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    polygon = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2 * [w, h] @ turn + [cx, cy]
    box = {"cx": cx, "cy": cy, "w": w, "h": h, "angle": angle, "polygon": polygon.ravel().tolist()}
    return {"tile_id": key[0], "mask_id": key[1], **box, "mask_area": int(w * h), "fill": 1.0, "score": float(random.uniform())}


@pytest.fixture
def write_tiles(tmp_path: Path) -> Callable[[str, Sequence[str]], Path]:
    def write(name: str, tile_ids: Sequence[str]) -> Path:
        path = tmp_path / name
        write_table(path, [tile_row(tile_id) for tile_id in tile_ids], tiles.SCHEMA, rows_per_group=tiles.ROWS_PER_GROUP)
        return path

    return write


@pytest.fixture
def write_boxes(tmp_path: Path) -> Callable[[str, Keys], Path]:
    def write(name: str, keys: Keys) -> Path:
        path = tmp_path / name
        write_table(path, [box_row(key) for key in keys], boxes.SCHEMA)
        return path

    return write


@pytest.fixture
def write_embeddings(tmp_path: Path) -> Callable[[str, Keys, np.ndarray], Path]:
    def write(name: str, keys: Keys, vectors: np.ndarray) -> Path:
        path = tmp_path / name
        columns = [pa.array([k[0] for k in keys], pa.string()), pa.array([k[1] for k in keys], pa.int32()), vectors_to_column(vectors)]
        schema = embeddings.schema(vectors.shape[1])
        write_table(path, pa.table(columns, schema=schema), schema, rows_per_group=100)
        return path

    return write
