"""Tiles and their objects as tensors."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mutdet.detectors.types import Targets
from mutdet.embedding.tile_images import decode_image, normalised
from mutdet.settings.seeds import generator_for
from mutdet.settings.training import TrainingSettings
from mutdet.training.augmentation import apply_flip, draw_flip, resize
from mutdet.training.objects import PackedObjects
from mutdet.training.sampling import Draw, DrawnDataset
from mutdet.training.tile_index import TileIndex

KEPT_BYTES = 1 << 28
"""Pixels that a process keeps."""


@dataclass(frozen=True)
class Batch:
    """Tiles of one step.

    Attributes:
        images: [B, 3, H, W] normalised RGB, zero right and below of smaller tiles.
        sizes: [B, 2] int64 height and width without that padding; always in main memory.
        targets: objects of each tile.
        tile_ids: of these tiles.
    """

    images: Tensor
    sizes: Tensor
    targets: list[Targets]
    tile_ids: list[str]

    def to(self, device: torch.device) -> "Batch":
        """The batch on a device, but for sizes, which code reads to decide what to do."""
        targets = [Targets(t.boxes.to(device), t.labels.to(device), None if t.embeddings is None else t.embeddings.to(device)) for t in self.targets]
        return Batch(self.images.to(device), self.sizes, targets, self.tile_ids)

    def parts(self, count: int) -> list["Batch"]:
        """The batch in so many equal parts, in order."""
        share = len(self.tile_ids) // count
        rows = [slice(part * share, (part + 1) * share) for part in range(count)]
        return [Batch(self.images[part], self.sizes[part], self.targets[part], self.tile_ids[part]) for part in rows]


def pad_images(images: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Images [3, h, w] in one tensor [B, 3, H, W], zero right and below, and their sizes [B, 2] (height, width)."""
    sizes = torch.tensor([image.shape[1:] for image in images], dtype=torch.int64)
    height, width = sizes.amax(0).tolist()
    padded = torch.zeros(len(images), 3, height, width)
    for target, image in zip(padded, images, strict=True):
        target[:, : image.shape[1], : image.shape[2]] = image
    return padded, sizes


Sample = tuple[str, Tensor, Targets]
"""Id, normalised image [3, H, W] and objects of a tile."""


def collate(samples: Sequence[Sample]) -> Batch:
    """Batch of samples, images padded to the largest height and width."""
    images, sizes = pad_images([image for _, image, _ in samples])
    return Batch(images, sizes, [targets for _, _, targets in samples], [tile_id for tile_id, _, _ in samples])


class TileDataset(DrawnDataset[Sample]):
    """Augmented tiles of a training; reads single tiles from the tables when they are asked for.

    Decoded and resized tiles are kept as long as there is room, so that a small data set is decoded once; in one that does not fit, the tiles that came
    first stay, for in a random order all are as likely to come again.

    What a draw gives depends on the seed, the pass over the data and the tile's id alone: not on worker, order or shard.

    Args:
        index: tiles.
        objects: objects of these tiles.
        settings: size, flips and seed.
        stage: name that keeps random numbers of two stages apart.
    """

    def __init__(self, index: TileIndex, objects: PackedObjects, settings: TrainingSettings, stage: str) -> None:
        self._index, self._objects, self._settings, self._stage = index, objects, settings, stage
        self._reader = index.reader(["image"])
        self._kept: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._room = KEPT_BYTES

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, draw: Draw) -> Sample:
        tile_id = self._index.tile_ids[draw.tile]
        objects = self._objects[draw.tile]
        pixels, boxes = self._resized(draw.tile)
        generator = generator_for(self._settings.seed, self._stage, "flip", draw.epoch, tile_id)
        pixels, boxes = apply_flip(pixels, boxes, draw_flip(self._settings, generator))
        embeddings = None if objects.embeddings is None else torch.from_numpy(objects.embeddings)
        targets = Targets(torch.from_numpy(np.ascontiguousarray(boxes)), torch.from_numpy(objects.labels), embeddings)
        return tile_id, normalised(np.ascontiguousarray(pixels)), targets

    def _resized(self, tile: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [H, W, 3] and boxes [M, 5] of a tile at the size that the training sees."""
        if tile in self._kept:
            return self._kept[tile]
        pixels = decode_image(self._reader[int(self._index.positions[tile])]["image"], self._index.tile_ids[tile])
        found = resize(pixels, self._objects[tile].boxes, self._settings.image_size)
        if found[0].nbytes <= self._room:
            self._room -= found[0].nbytes
            self._kept[tile] = found
        return found
