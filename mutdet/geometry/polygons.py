"""Areas and common areas of quadrilaterals, in float64.

A quadrilateral is [4, 2]: four corners, any winding. Its indicator is its winding number, normalised to a positive area, as in
DOTA's evaluation code (polyiou): a simple quadrilateral, convex or not, counts as the plain set of points; the two lobes
of a self-intersecting one count with opposite signs.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
_PAIRS_PER_BLOCK = 2048
"""Sixteen edge pairs each: a temporary array of a block is 256 KiB and stays in the cache."""


def as_polygons(polygons: ArrayLike) -> Array:
    """[M, 4, 2] float64 view or copy of quadrilaterals given as [M, 4, 2] or [M, 8]."""
    return np.asarray(polygons, dtype=np.float64).reshape(-1, 4, 2)


def signed_areas(polygons: ArrayLike) -> Array:
    """[M] areas in square pixels of quadrilaterals [M, 4, 2], positive where the corners turn clockwise on the screen (y down)."""
    points = as_polygons(polygons)
    diagonal, other = points[:, 2] - points[:, 0], points[:, 3] - points[:, 1]
    return (diagonal[:, 0] * other[:, 1] - diagonal[:, 1] * other[:, 0]) / 2


def areas(polygons: ArrayLike) -> Array:
    """[M] areas in square pixels of quadrilaterals [M, 4, 2]; never negative."""
    return np.abs(signed_areas(polygons))


def horizontal_boxes(polygons: ArrayLike) -> Array:
    """[M, 4] smallest and largest coordinates (x0, y0, x1, y1) of quadrilaterals [M, 4, 2]."""
    points = as_polygons(polygons)
    return np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)


def intersection_areas(a: ArrayLike, b: ArrayLike) -> Array:
    """[M] common areas in square pixels of the quadrilaterals a[i] and b[i], both [M, 4, 2].

    Integral of the product of the winding numbers. Exact up to rounding (relative to the area of the horizontal boxes) for
    simple quadrilaterals; may be negative for self-intersecting ones. Not a number only where a corner is.
    """
    first, second = as_polygons(a), as_polygons(b)
    result = np.empty(len(first))
    for start in range(0, len(first), _PAIRS_PER_BLOCK):
        block = slice(start, start + _PAIRS_PER_BLOCK)
        result[block] = _intersection_block(first[block], second[block])
    return result


def _intersection_block(a: Array, b: Array) -> Array:
    """Sum over the 4 x 4 pairs of edges of the common area below both.

    With the winding number written as the signed sum of the strips below the edges, the common area is the signed sum of the integrals of
    min(y of an edge of a, y of an edge of b) over the x range that the two edges share. No point of intersection is ever
    computed, so that near-identical, touching and degenerate shapes need no special case.
    """
    origin = a[:, :1]
    sign = np.sign(signed_areas(a - origin)) * np.sign(signed_areas(b - origin))
    left_a, right_a, y_a, slope_a, turn_a = (edges[:, None] for edges in _edges(a - origin))
    left_b, right_b, y_b, slope_b, turn_b = (edges[None] for edges in _edges(b - origin))
    left, right = np.maximum(left_a, left_b), np.minimum(right_a, right_b)
    width = np.maximum(right - left, 0)
    a_at_left, a_at_right = y_a + slope_a * (left - left_a), y_a + slope_a * (right - left_a)
    gap_left, gap_right = y_b + slope_b * (left - left_b) - a_at_left, y_b + slope_b * (right - left_b) - a_at_right
    below = np.minimum(gap_left, 0) + np.minimum(gap_right, 0)
    spread = np.abs(gap_left) + np.abs(gap_right)
    lowered = below * np.divide(below, spread, out=np.zeros_like(below), where=spread > 0)
    strips = turn_a * turn_b * width * (a_at_left + a_at_right - lowered) / 2
    return sign * strips.sum(axis=(0, 1))


def _edges(polygons: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Left x, right x, y at the left end, slope (0 where vertical) and direction (-1, 0, 1) of the edges, each [4, M]."""
    start = polygons.transpose(1, 2, 0)
    end = np.roll(start, -1, axis=0)
    run, rise = end[:, 0] - start[:, 0], end[:, 1] - start[:, 1]
    slope = np.divide(rise, run, out=np.zeros_like(run), where=run != 0)
    y_at_left = np.where(run >= 0, start[:, 1], end[:, 1])
    return np.minimum(start[:, 0], end[:, 0]), np.maximum(start[:, 0], end[:, 0]), y_at_left, slope, np.sign(run)


def clip_areas(polygons: ArrayLike, x0: float, y0: float, x1: float, y1: float) -> Array:
    """[M] areas in square pixels of the parts of quadrilaterals [M, 4, 2] inside the rectangle [x0, x1] x [y0, y1]."""
    points = as_polygons(polygons)
    window = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float64)
    inside = intersection_areas(np.broadcast_to(window, points.shape), points)
    return np.clip(inside, 0, areas(points))


def fraction_inside(polygons: ArrayLike, x: float, y: float, width: float, height: float) -> Array:
    """[M] shares, 0 to 1, of the area of quadrilaterals [M, 4, 2] inside a window; 0 for those without area."""
    whole = areas(polygons)
    inside = clip_areas(polygons, x, y, x + width, y + height)
    return np.divide(inside, whole, out=np.zeros_like(whole), where=whole > 0)
