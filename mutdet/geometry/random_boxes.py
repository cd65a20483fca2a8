"""Rotated boxes drawn at random, for proposals that know nothing of the image."""

import numpy as np

from mutdet.geometry.rotated_boxes import Array, to_le90


def random_boxes(count: int, width: float, height: float, sides: tuple[float, float], generator: np.random.Generator) -> Array:
    """Boxes inside an image of width x height pixels: sides and angle uniform, then a place uniform among those where all corners lie inside.

    A box that fits nowhere at its angle is scaled down until it does.

    Args:
        count: M.
        width: pixels.
        height: pixels.
        sides: shortest and longest side, pixels.
        generator: its random numbers.

    Returns:
        [M, 5] float32, le90.
    """
    w, h = generator.uniform(*sides, (2, count))
    angle = generator.uniform(-np.pi / 2, np.pi / 2, count)
    cosine, sine = np.abs(np.cos(angle)), np.abs(np.sin(angle))
    fit = np.minimum(1.0, np.minimum(width / (w * cosine + h * sine), height / (w * sine + h * cosine)))
    w, h = w * fit, h * fit
    room = np.stack([width - (w * cosine + h * sine), height - (w * sine + h * cosine)])
    cx, cy = (np.array([[width], [height]]) + room.clip(min=0.0) * (2.0 * generator.random((2, count)) - 1.0)) / 2.0
    return to_le90(np.stack([cx, cy, w, h, angle], axis=1).astype(np.float32))
