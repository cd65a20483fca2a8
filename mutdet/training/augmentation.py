"""Resizing and flips of tiles; boxes follow."""

from typing import Literal

import cv2
import numpy as np

from mutdet.geometry.rotated_boxes import flip
from mutdet.settings.training import TrainingSettings

Flip = Literal["horizontal", "vertical", "diagonal"]
_AXES: dict[Flip, tuple[int, ...]] = {"horizontal": (1,), "vertical": (0,), "diagonal": (0, 1)}


def resize(image: np.ndarray, boxes: np.ndarray, longer_side: int) -> tuple[np.ndarray, np.ndarray]:
    """Scale an image [H, W, 3] to a longer side in pixels, its shape kept; boxes [M, 5] in pixels scale along."""
    height, width = image.shape[:2]
    scale = longer_side / max(height, width)
    if scale == 1.0:
        return image, boxes
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    resized = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR if scale > 1.0 else cv2.INTER_AREA)
    return resized, boxes * np.array([scale, scale, scale, scale, 1.0], boxes.dtype)


def draw_flip(settings: TrainingSettings, generator: np.random.Generator) -> Flip | None:
    """One of the three flips or none, by their probabilities (docs/method.md B: 0.25 each)."""
    value = generator.random()
    chances: list[tuple[Flip, float]] = [
        ("horizontal", settings.flip_horizontal),
        ("vertical", settings.flip_vertical),
        ("diagonal", settings.flip_diagonal),
    ]
    for direction, chance in chances:
        if value < chance:
            return direction
        value -= chance
    return None


def apply_flip(image: np.ndarray, boxes: np.ndarray, direction: Flip | None) -> tuple[np.ndarray, np.ndarray]:
    """Flip an image [H, W, 3] and its boxes [M, 5]."""
    if direction is None:
        return image, boxes
    height, width = image.shape[:2]
    return np.flip(image, _AXES[direction]), flip(boxes, direction, width, height).astype(boxes.dtype)
