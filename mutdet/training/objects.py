"""Objects of all tiles of a training, packed in arrays: filtered once, box, label and embedding of an object in one row."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mutdet.settings.console import log
from mutdet.settings.errors import UserError
from mutdet.settings.training import BoxTrainingSettings
from mutdet.training.tile_index import TileIndex


@dataclass(frozen=True)
class TileObjects:
    """Objects of one tile.

    Attributes:
        boxes: [M, 5] float32, le90, pixels of the tile.
        labels: [M] int64.
        embeddings: [M, P] float32 of unit length, or None.
    """

    boxes: np.ndarray
    labels: np.ndarray
    embeddings: np.ndarray | None = None


@dataclass(frozen=True)
class PackedObjects:
    """Objects of many tiles, 26 bytes each and 2 bytes more per component of an embedding.

    Attributes:
        boxes: [R, 5] float32, rows of one tile together.
        labels: [R] int32.
        embeddings: [R, P] float16, or None.
        ends: [tiles] int64 row after the last of each tile.
    """

    boxes: np.ndarray
    labels: np.ndarray
    embeddings: np.ndarray | None
    ends: np.ndarray

    def __getitem__(self, tile: int) -> TileObjects:
        rows = slice(int(self.ends[tile - 1]) if tile else 0, int(self.ends[tile]))
        embeddings = None if self.embeddings is None else self.embeddings[rows].astype(np.float32)
        return TileObjects(self.boxes[rows], self.labels[rows].astype(np.int64), embeddings)

    def counts(self) -> np.ndarray:
        """[tiles] objects of each tile."""
        return np.diff(self.ends, prepend=0)

    def keep(self, tiles: np.ndarray) -> "PackedObjects":
        """The objects of the tiles for which `tiles` [tiles] is true."""
        counts = self.counts()
        rows = np.repeat(tiles, counts)
        embeddings = None if self.embeddings is None else self.embeddings[rows]
        return PackedObjects(self.boxes[rows], self.labels[rows], embeddings, np.cumsum(counts[tiles]))


def pack(tiles: int, tile: np.ndarray, boxes: np.ndarray, labels: np.ndarray, embeddings: np.ndarray | None = None) -> PackedObjects:
    """Pack rows that name their tile by its number [R]; rows of a tile keep their order."""
    order = np.argsort(tile, kind="stable")
    ends = np.cumsum(np.bincount(tile, minlength=tiles))
    return PackedObjects(
        boxes[order].astype(np.float32), labels[order].astype(np.int32), None if embeddings is None else embeddings[order].astype(np.float16), ends
    )


def no_objects(tiles: int) -> PackedObjects:
    """Tiles without any object, for trainings that make their own targets."""
    return PackedObjects(np.zeros((0, 5), np.float32), np.zeros(0, np.int32), None, np.zeros(tiles, np.int64))


def numbers_of(names: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Position of each name among the known ones; -1 where it is not among them."""
    positions = {name: number for number, name in enumerate(known)}
    return np.fromiter((positions.get(name, -1) for name in names), np.int64, len(names))


def used_tiles(index: TileIndex, objects: PackedObjects, settings: BoxTrainingSettings) -> tuple[TileIndex, PackedObjects]:
    """The tiles that a training reads: all, or those with objects, as the settings say.

    Raises:
        UserError: no tile is left.
    """
    filled = objects.counts() > 0
    log.info("%d tiles, %d of them without objects, which are %s; %d objects", len(index), (~filled).sum(), _FATE[settings.empty_tiles], len(objects.boxes))
    if settings.empty_tiles == "keep":
        return index, objects
    if not filled.any():
        raise UserError("no tile has an object to train on", file=index.paths[0], remedy="check masks and boxes, or set empty_tiles to keep")
    return index.keep(filled), objects.keep(filled)


_FATE = {"skip": "left out", "keep": "kept"}
