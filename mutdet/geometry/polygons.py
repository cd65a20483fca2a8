"""Areas and common areas of quadrilaterals, in float64.

A quadrilateral is [4, 2]: four corners, any winding. Its indicator is its winding number, normalised to a positive area, as in
DOTA's evaluation code (polyiou): a simple quadrilateral, convex or not, counts as the plain set of points; the two lobes
of a self-intersecting one count with opposite signs.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


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

    Integral of the product of the winding numbers: with each written as the signed sum of the strips below its edges, that is the sum over the
    4 x 4 pairs of edges of the integral of min(y of an edge of a, y of an edge of b) over the x range that the two share. No point of
    intersection is ever computed, so that near-identical, touching and degenerate shapes need no special case.

    Exact up to rounding (relative to the area of the horizontal boxes) for simple quadrilaterals; may be negative for self-intersecting ones.
    Not a number only where a corner is not finite.
    """
    first, second = np.ascontiguousarray(as_polygons(a)), np.ascontiguousarray(as_polygons(b))
    result = np.empty(len(first))
    _kernel()(first, second, result)
    result[~(np.isfinite(first).all((1, 2)) & np.isfinite(second).all((1, 2)))] = np.nan
    return result


@cache
def _kernel() -> Any:
    from mutdet.geometry import area_kernel

    return area_kernel.intersection_areas


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
