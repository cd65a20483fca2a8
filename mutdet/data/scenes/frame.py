"""Rotated rectangles of ground, in metres."""

from dataclasses import dataclass

import numpy as np


def rotate(points: np.ndarray, angle: float) -> np.ndarray:
    """Turn points [K, 2] about the origin, positive clockwise in image coordinates (y down), radians."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return points @ np.array([[cosine, sine], [-sine, cosine]])


def moved(points: np.ndarray, x: float, y: float) -> np.ndarray:
    """Points [K, 2] shifted by x, y."""
    return points + np.array([x, y])


def rectangle(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    """Corners [4, 2] of an axis-parallel rectangle."""
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


@dataclass(frozen=True)
class Frame:
    """Rotated rectangle with its own coordinates: x in [-length / 2, length / 2], y in [-width / 2, width / 2], metres."""

    x: float
    y: float
    angle: float
    length: float
    width: float

    def points(self, local: np.ndarray) -> np.ndarray:
        """Scene coordinates of points [K, 2] given in the frame's."""
        return moved(rotate(np.asarray(local, dtype=np.float64), self.angle), self.x, self.y)

    def corners(self) -> np.ndarray:
        """Corners [4, 2] in scene coordinates."""
        return self.points(rectangle(-self.length / 2, -self.width / 2, self.length / 2, self.width / 2))

    def part(self, x0: float, y0: float, x1: float, y1: float) -> "Frame":
        """Smaller frame between two corners given in this frame's coordinates."""
        centre = self.points(np.array([[(x0 + x1) / 2, (y0 + y1) / 2]]))[0]
        return Frame(float(centre[0]), float(centre[1]), self.angle, x1 - x0, y1 - y0)

    def inset(self, margin: float) -> "Frame":
        """Frame narrower by `margin` metres at each side, at least a metre long and wide."""
        return Frame(self.x, self.y, self.angle, max(1.0, self.length - 2 * margin), max(1.0, self.width - 2 * margin))

    def turned(self) -> "Frame":
        """Same rectangle, with its axes swapped by a quarter turn."""
        return Frame(self.x, self.y, self.angle + np.pi / 2, self.width, self.length)

    def lengthwise(self) -> "Frame":
        """Same rectangle, with x along the longer side."""
        return self if self.length >= self.width else self.turned()
