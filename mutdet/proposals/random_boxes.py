"""Mask generator `random`."""

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
import torch

from mutdet.geometry.random_boxes import random_boxes
from mutdet.geometry.rotated_boxes import corners
from mutdet.proposals.mask import Finish, Image, Mask, Region, as_stored, ordered
from mutdet.settings.proposals.random_boxes import RandomBoxesSettings
from mutdet.settings.seeds import generator_for

_SHIFT = 4
"""Binary places of the corners that OpenCV fills between."""


class RandomBoxesGenerator:
    """Filled random rectangles that depend on the tile's id and size alone."""

    def __init__(self, settings: RandomBoxesSettings, device: torch.device) -> None:
        self.tiles_per_batch = 1
        self._settings = settings

    def search(self, images: Sequence[Image], tile_ids: Sequence[str]) -> list[Finish]:
        """Leave all to the functions returned; see `MaskGenerator.search`."""
        return [partial(self._masks, image, tile_id) for image, tile_id in zip(images, tile_ids, strict=True)]

    def _masks(self, image: Image, tile_id: str) -> list[Mask]:
        """Rectangles in an image [H, W, 3]; predicted_iou falls linearly with the number drawn from 1, stability is 1."""
        settings, (height, width) = self._settings, image.shape[:2]
        boxes = random_boxes(settings.count, width, height, (settings.shortest, settings.longest), generator_for(settings.seed, "masks", tile_id))
        return ordered(
            _filled(box, points, 1 - rank / len(boxes), (height, width)) for rank, (box, points) in enumerate(zip(boxes, corners(boxes), strict=True))
        )


def _filled(box: np.ndarray, points: np.ndarray, score: float, size: tuple[int, int]) -> Mask:
    plane = np.zeros(size, np.uint8)
    cv2.fillConvexPoly(plane, np.round((points - 0.5) * 2**_SHIFT).astype(np.int32), 1, shift=_SHIFT)
    return Mask(size, Region.of(plane), as_stored(score), 1.0, (as_stored(box[0]), as_stored(box[1])))
