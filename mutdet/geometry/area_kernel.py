"""Common areas of quadrilaterals, the compiled loop."""

import numpy as np

from mutdet.geometry.compilation import compiled


@compiled()
def intersection_areas(a: np.ndarray, b: np.ndarray, result: np.ndarray) -> None:  # pragma: no cover -- compiled
    """Write to result [M] the common areas of a[i] and b[i], both [M, 4, 2]; what is summed stands at `mutdet.geometry.polygons.intersection_areas`."""
    for pair in range(len(a)):
        x0, y0 = a[pair, 0, 0], a[pair, 0, 1]
        doubled_a = (a[pair, 2, 0] - a[pair, 0, 0]) * (a[pair, 3, 1] - a[pair, 1, 1]) - (a[pair, 2, 1] - a[pair, 0, 1]) * (a[pair, 3, 0] - a[pair, 1, 0])
        doubled_b = (b[pair, 2, 0] - b[pair, 0, 0]) * (b[pair, 3, 1] - b[pair, 1, 1]) - (b[pair, 2, 1] - b[pair, 0, 1]) * (b[pair, 3, 0] - b[pair, 1, 0])
        total = 0.0
        for i in range(4):
            ax, ay, aex, aey = a[pair, i, 0] - x0, a[pair, i, 1] - y0, a[pair, (i + 1) % 4, 0] - x0, a[pair, (i + 1) % 4, 1] - y0
            if ax == aex:
                continue
            slope_a = (aey - ay) / (aex - ax)
            left_a, right_a, start_a, turn_a = (ax, aex, ay, 1.0) if aex > ax else (aex, ax, aey, -1.0)
            for j in range(4):
                bx, by, bex, bey = b[pair, j, 0] - x0, b[pair, j, 1] - y0, b[pair, (j + 1) % 4, 0] - x0, b[pair, (j + 1) % 4, 1] - y0
                if bx == bex:
                    continue
                slope_b = (bey - by) / (bex - bx)
                left_b, right_b, start_b, turn_b = (bx, bex, by, 1.0) if bex > bx else (bex, bx, bey, -1.0)
                left, right = max(left_a, left_b), min(right_a, right_b)
                if right <= left:
                    continue
                a_at_left, a_at_right = start_a + slope_a * (left - left_a), start_a + slope_a * (right - left_a)
                gap_left, gap_right = start_b + slope_b * (left - left_b) - a_at_left, start_b + slope_b * (right - left_b) - a_at_right
                below = min(gap_left, 0.0) + min(gap_right, 0.0)
                spread = abs(gap_left) + abs(gap_right)
                lowered = below * below / spread if spread > 0 else 0.0
                total += turn_a * turn_b * (right - left) * (a_at_left + a_at_right - lowered) / 2
        result[pair] = total * np.sign(doubled_a) * np.sign(doubled_b)
