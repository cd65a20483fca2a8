"""Mask generator `random`."""

import cv2
import numpy as np
import torch

from mutdet.geometry.random_boxes import random_boxes
from mutdet.geometry.rotated_boxes import corners
from mutdet.proposals.mask import Image, Mask, area_of, bounds_of, encode_masks, ordered
from mutdet.settings.proposals.random_boxes import RandomBoxesSettings
from mutdet.settings.seeds import generator_for

_SHIFT = 4
"""Binary places of the corners that OpenCV fills between."""


class RandomBoxesGenerator:
    """Filled random rectangles that depend on the tile's id and size alone."""

    def __init__(self, settings: RandomBoxesSettings, device: torch.device) -> None:
        self._settings = settings

    def generate(self, image: Image, tile_id: str) -> list[Mask]:
        """Rectangles in an image [H, W, 3]; predicted_iou falls linearly with the number drawn from 1, stability is 1."""
        settings, (height, width) = self._settings, image.shape[:2]
        boxes = random_boxes(settings.count, width, height, (settings.shortest, settings.longest), generator_for(settings.seed, "masks", tile_id))
        return ordered(
            _filled(box, points, 1 - rank / len(boxes), (height, width)) for rank, (box, points) in enumerate(zip(boxes, corners(boxes), strict=True))
        )


def _filled(box: np.ndarray, points: np.ndarray, score: float, size: tuple[int, int]) -> Mask:
    pixels = np.zeros((*size, 1), np.uint8, order="F")
    plane = np.zeros(size, np.uint8)
    cv2.fillConvexPoly(plane, np.round((points - 0.5) * 2**_SHIFT).astype(np.int32), 1, shift=_SHIFT)
    pixels[..., 0] = plane
    counts = encode_masks(pixels)[0]
    x, y, w, h = bounds_of(size, counts)
    return Mask(size, counts, area_of(size, counts), (x, y, w - 1, h - 1), score, 1.0, (float(box[0]), float(box[1])))
