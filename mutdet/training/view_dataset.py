"""Views of tiles for self-supervised trainings: cut where tiles are decoded, coloured in batches on the device."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mutdet.embedding.tile_images import decode_image
from mutdet.pretraining.selfsup.crops import apply_crop, draw_crop, draw_region
from mutdet.pretraining.selfsup.photometry import Photometry, augment, draw_photometry, normalised_views
from mutdet.settings.backbones.self_supervised import SelfSupervisedSettings
from mutdet.settings.seeds import generator_for
from mutdet.training.sampling import Draw, DrawnDataset
from mutdet.training.tile_index import TileIndex

View = tuple[Tensor, Photometry]


@dataclass(frozen=True)
class ViewBatch:
    """Views of the tiles of one step, not yet coloured.

    Attributes:
        crops: [B, 3, S, S] uint8 RGB, one tensor for each view.
        photometry: how each is to be coloured; stays on the CPU.
    """

    crops: list[Tensor]
    photometry: list[Photometry]

    def to(self, device: torch.device) -> "ViewBatch":
        """The batch on a device."""
        return ViewBatch([crops.to(device) for crops in self.crops], self.photometry)

    def parts(self, count: int) -> Iterator["ViewBatch"]:
        """The batch in equal parts."""
        size = len(self.crops[0]) // count
        for start in range(0, size * count, size):
            rows = slice(start, start + size)
            yield ViewBatch([crops[rows] for crops in self.crops], [photometry.part(rows) for photometry in self.photometry])

    def images(self, kernel: int) -> list[Tensor]:
        """Augmented and normalised images [B, 3, S, S] float32 of every view; `kernel` is the side of the blur's, pixels."""
        return [normalised_views(augment(crops.float() / 255.0, photometry, kernel)) for crops, photometry in zip(self.crops, self.photometry, strict=True)]


def collate_views(samples: Sequence[Sequence[View]]) -> ViewBatch:
    """Batch of samples."""
    views = [tuple(zip(*view, strict=True)) for view in zip(*samples, strict=True)]
    return ViewBatch([torch.stack(crops) for crops, _ in views], [Photometry.stack(photometry) for _, photometry in views])


class ViewDataset(DrawnDataset[list[View]]):
    """Views of tiles; reads single tiles from the tables when they are asked for.

    What a draw gives depends on the seed, the pass over the data and the tile's id alone: not on worker, order or shard.

    Args:
        index: tiles.
        settings: views and seed.
        stage: name that keeps random numbers of two stages apart.
    """

    def __init__(self, index: TileIndex, settings: SelfSupervisedSettings, stage: str) -> None:
        self._index, self._settings, self._stage = index, settings, stage
        self._reader = index.reader(["image"])

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, draw: Draw) -> list[View]:
        tile_id = self._index.tile_ids[draw.tile]
        pixels = decode_image(self._reader[int(self._index.positions[draw.tile])]["image"], tile_id)
        region = generator_for(self._settings.seed, self._stage, "region", draw.epoch, tile_id)
        image = draw_region(region, torch.from_numpy(pixels).permute(2, 0, 1), self._settings.region_size)
        return [self._view(image, number, size, draw.epoch, tile_id) for number, size in enumerate(self._settings.view_sizes())]

    def _view(self, image: Tensor, number: int, size: int, epoch: int, tile_id: str) -> View:
        generator = generator_for(self._settings.seed, self._stage, "view", number, epoch, tile_id)
        crop = draw_crop(generator, image.shape[2], image.shape[1], self._settings)
        return apply_crop(image, crop, size), draw_photometry(generator, number, self._settings)
