"""Features of labelled objects: rotated crops of their boxes through a backbone."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mutdet.embedding.backbones import Backbone
from mutdet.embedding.crop_embedder import CropEmbedder, Row
from mutdet.geometry.rotated_boxes import from_polygons
from mutdet.settings.embed import EmbedSettings
from mutdet.settings.seeds import seed_for
from mutdet.tables.read import iterate_rows

MIN_SIDE = 4.0
"""Boxes with a shorter side, in pixels of the tile, show too little."""


@dataclass(frozen=True)
class LabelledBoxes:
    """Objects of labelled tiles.

    Attributes:
        rows: tile_id, mask_id and box of each, as `CropEmbedder` takes them.
        categories: [M] names.
        images: [M] ids of source images.
    """

    rows: list[Row]
    categories: np.ndarray
    images: np.ndarray


def read_labelled_boxes(tiles: Sequence[Path], limit: int, seed: int = 0) -> LabelledBoxes:
    """At most `limit` objects of tables of tiles, chosen by hash of (seed, tile_id, number in the tile), in the order of the tables."""
    found = list(_boxes(tiles))
    chosen = heapq.nsmallest(limit, range(len(found)), key=lambda i: seed_for(seed, "probe", found[i][0]["tile_id"], found[i][0]["mask_id"]))
    rows, categories, images = zip(*(found[i] for i in sorted(chosen)), strict=True) if chosen else ((), (), ())
    return LabelledBoxes(list(rows), np.array(categories, dtype=object), np.array(images, dtype=object))


def _boxes(tiles: Sequence[Path]) -> Iterator[tuple[Row, str, str]]:
    for tile in iterate_rows(tiles, ["tile_id", "image_id", "labels"], rows=256):
        polygons = np.array([label["polygon"] for label in tile["labels"]], np.float32).reshape(-1, 8)
        for number, (label, box) in enumerate(zip(tile["labels"], from_polygons(polygons).tolist(), strict=True)):
            if min(box[2:4]) >= MIN_SIDE:
                row = {"tile_id": tile["tile_id"], "mask_id": number, **dict(zip(("cx", "cy", "w", "h", "angle"), box, strict=True))}
                yield row, label["category"], tile["image_id"]


def embed_boxes(backbone: Backbone, tiles: Sequence[Path], boxes: LabelledBoxes, settings: EmbedSettings, device: torch.device) -> np.ndarray:
    """[M, D] features of boxes, in their order; the backbone is left in evaluation mode."""
    embedder = CropEmbedder(backbone, settings, device)
    vectors = [part for _, part in embedder.embed(iterate_rows(tiles, ["tile_id", "image"]), boxes.rows)]
    return np.concatenate(vectors) if vectors else np.zeros((0, backbone.width), np.float32)
