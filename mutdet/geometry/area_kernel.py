"""Common areas of quadrilaterals, the compiled loop."""

import numpy as np

from mutdet.geometry.compilation import compiled


@compiled()
def intersection_areas(a: np.ndarray, b: np.ndarray, result: np.ndarray) -> None:  # pragma: no cover -- compiled
    """Write to result [M] the common areas of a[i] and b[i], both [M, 4, 2]; what is summed stands at `mutdet.geometry.polygons.intersection_areas`."""
    for pair in range(len(a)):
        origin_x, origin_y = a[pair, 0, 0], a[pair, 0, 1]
        total = 0.0
        for i in range(4):
            edge = _edge(a, pair, i, origin_x, origin_y)
            for j in range(4):
                total += _below_both(edge, _edge(b, pair, j, origin_x, origin_y))
        result[pair] = total * _winding(a, pair) * _winding(b, pair)


@compiled()
def _edge(
    polygons: np.ndarray, pair: int, number: int, origin_x: float, origin_y: float
) -> tuple[float, float, float, float, float]:  # pragma: no cover -- compiled
    """Left and right end, y at the left end, slope, and 1 if the edge runs to the right, else -1; without width if it is vertical."""
    x, y = polygons[pair, number, 0] - origin_x, polygons[pair, number, 1] - origin_y
    end_x, end_y = polygons[pair, (number + 1) % 4, 0] - origin_x, polygons[pair, (number + 1) % 4, 1] - origin_y
    slope = 0.0 if x == end_x else (end_y - y) / (end_x - x)
    return (x, end_x, y, slope, 1.0) if end_x > x else (end_x, x, end_y, slope, -1.0)


@compiled()
def _below_both(a: tuple[float, float, float, float, float], b: tuple[float, float, float, float, float]) -> float:  # pragma: no cover -- compiled
    """Signed area below both of two edges, over the x range that they share."""
    left_a, right_a, start_a, slope_a, turn_a = a
    left_b, right_b, start_b, slope_b, turn_b = b
    left, right = max(left_a, left_b), min(right_a, right_b)
    if right <= left:
        return 0.0
    a_left, a_right = start_a + slope_a * (left - left_a), start_a + slope_a * (right - left_a)
    gap_left, gap_right = start_b + slope_b * (left - left_b) - a_left, start_b + slope_b * (right - left_b) - a_right
    below = min(gap_left, 0.0) + min(gap_right, 0.0)
    spread = abs(gap_left) + abs(gap_right)
    lowered = below * below / spread if spread > 0 else 0.0
    return turn_a * turn_b * (right - left) * (a_left + a_right - lowered) / 2


@compiled()
def _winding(polygons: np.ndarray, pair: int) -> float:  # pragma: no cover -- compiled
    """Sign of the doubled area: 1 if the corners turn clockwise on the screen, -1 if they turn the other way, 0 without area."""
    across = (polygons[pair, 2, 0] - polygons[pair, 0, 0]) * (polygons[pair, 3, 1] - polygons[pair, 1, 1])
    return np.sign(across - (polygons[pair, 2, 1] - polygons[pair, 0, 1]) * (polygons[pair, 3, 0] - polygons[pair, 1, 0]))
