"""Rotated boxes (cx, cy, w, h, angle) in NumPy: pixels, radians, le90, positive clockwise with y down."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mutdet.geometry.polygons import as_polygons

Array = NDArray[np.floating]
Direction = Literal["horizontal", "vertical", "diagonal"]
UNIT_CORNERS = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))
"""Corners of a box of unit sides, clockwise on the screen."""


def as_boxes(boxes: ArrayLike) -> Array:
    """[M, 5] floating-point array; float32 stays float32, all else becomes float64."""
    given = np.asarray(boxes)
    array: Array = given if given.dtype == np.float32 else given.astype(np.float64, copy=False)
    return array.reshape(-1, 5)


def to_le90(boxes: ArrayLike) -> Array:
    """The same rectangles [M, 5] with w >= h and angle in [-pi/2, pi/2), in the same precision.

    Boxes that are le90 already come back bit by bit.
    """
    given = as_boxes(boxes)
    cx, cy, w, h, angle = given.T
    turned = w < h
    half = given.dtype.type(np.pi / 2)
    angle = np.where(turned, angle + half, angle)
    wrapped = np.mod(angle + half, 2 * half) - half
    angle = np.where((angle >= -half) & (angle < half), angle, np.where(wrapped < half, wrapped, -half))
    return np.stack([cx, cy, np.where(turned, h, w), np.where(turned, w, h), angle], axis=1)


def corners(boxes: ArrayLike) -> Array:
    """[M, 4, 2] corners of boxes [M, 5], clockwise on the screen from the one that is top left at angle 0."""
    given = as_boxes(boxes)
    centre, size, angle = given[:, None, :2], given[:, None, 2:4], given[:, 4, None]
    offset = np.asarray(UNIT_CORNERS, given.dtype) * size
    cosine, sine = np.cos(angle), np.sin(angle)
    turned = np.stack([offset[..., 0] * cosine - offset[..., 1] * sine, offset[..., 0] * sine + offset[..., 1] * cosine], axis=-1)
    return centre + turned


def from_polygons(polygons: ArrayLike) -> Array:
    """[M, 5] float64 le90 boxes of least area around quadrilaterals [M, 4, 2] or [M, 8], in any order of corners.

    A rectangle of least area lies along an edge of the convex hull; every edge is among the six lines through two corners.
    """
    points = as_polygons(polygons)
    origin = points[:, :1]
    local = points - origin
    lines = np.stack([local[:, j] - local[:, i] for i, j in ((0, 1), (1, 2), (2, 3), (3, 0), (0, 2), (1, 3))], axis=1)
    angles = np.arctan2(lines[..., 1], lines[..., 0])
    cosine, sine = np.cos(angles)[..., None], np.sin(angles)[..., None]
    x, y = local[:, None, :, 0], local[:, None, :, 1]
    along, across = x * cosine + y * sine, y * cosine - x * sine
    low = np.stack([along.min(axis=-1), across.min(axis=-1)], axis=-1)
    high = np.stack([along.max(axis=-1), across.max(axis=-1)], axis=-1)
    rows, best = np.arange(len(points)), np.prod(high - low, axis=-1).argmin(axis=1)
    (u, v), (w, h), angle = ((low + high) / 2)[rows, best].T, (high - low)[rows, best].T, angles[rows, best]
    cx, cy = u * np.cos(angle) - v * np.sin(angle), u * np.sin(angle) + v * np.cos(angle)
    return to_le90(np.stack([origin[:, 0, 0] + cx, origin[:, 0, 1] + cy, w, h, angle], axis=1))


def flip(boxes: ArrayLike, direction: Direction, width: float, height: float) -> Array:
    """Boxes [M, 5] of an image of width x height pixels after the image is mirrored; diagonal mirrors both axes.

    Raises:
        ValueError: the direction is none of horizontal, vertical, diagonal.
    """
    if direction not in ("horizontal", "vertical", "diagonal"):
        raise ValueError(f"direction {direction!r} is none of horizontal, vertical, diagonal")
    flipped = as_boxes(boxes).copy()
    if direction != "vertical":
        flipped[:, 0] = width - flipped[:, 0]
    if direction != "horizontal":
        flipped[:, 1] = height - flipped[:, 1]
    if direction != "diagonal":
        flipped[:, 4] = -flipped[:, 4]
    return to_le90(flipped)
