"""How many objects of procedural scenes have a pseudo box: the measure that the small SAM must pass."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mutdet.data.scenes.draw import Scene, draw_scene
from mutdet.geometry.iou import polygon_iou
from mutdet.proposals.mask import MaskGenerator, masks_of
from mutdet.proposals.tile_boxes import boxes_of_tile
from mutdet.settings.boxes import BoxesSettings
from mutdet.settings.seeds import generator_for
from mutdet.settings.small_sam import RecallSettings


@dataclass(frozen=True)
class TileRecall:
    """One scene: categories of the objects that count [M], whether each was found [M], and the number of boxes."""

    categories: list[str]
    found: NDArray[np.bool_]
    boxes: int


def scenes(settings: RecallSettings) -> Iterator[tuple[str, Scene]]:
    """Ids and scenes of the measure, each from its own generator."""
    for number in range(settings.scenes):
        yield f"{settings.split}-{number:04d}", draw_scene(settings.scene, generator_for(settings.seed, "small_sam", settings.split, number))


def measure(generator: MaskGenerator, boxes: BoxesSettings, scene: Scene, tile_id: str, settings: RecallSettings) -> TileRecall:
    """Run masks and boxes on a scene and look for its objects; an object is found if any box overlaps it by the IoU asked for."""
    rows, _ = boxes_of_tile(tile_id, dict(enumerate(masks_of(generator, scene.image, tile_id))), boxes)
    best = sorted(rows, key=lambda row: -row["score"])[: settings.max_boxes]
    polygons = np.array([row["polygon"] for row in best]).reshape(-1, 4, 2)
    sides = np.linalg.norm(np.diff(scene.polygons[:, :3], axis=1), axis=2).min(axis=1)
    counted = np.flatnonzero(sides >= settings.min_short_side)
    overlap = polygon_iou(scene.polygons[counted], polygons)
    found = overlap.max(axis=1, initial=0.0) >= settings.iou
    return TileRecall([scene.categories[index] for index in counted], found, len(best))


def recall_by_category(tiles: list[TileRecall]) -> dict[str, tuple[int, int]]:
    """Objects found and objects in all, by category and, under `all`, together."""
    names = np.array([name for tile in tiles for name in tile.categories])
    found = np.concatenate([tile.found for tile in tiles]) if tiles else np.zeros(0, bool)
    table = {name: (int(found[names == name].sum()), int((names == name).sum())) for name in sorted(set(names.tolist()))}
    return {**table, "all": (int(found.sum()), len(found))}
