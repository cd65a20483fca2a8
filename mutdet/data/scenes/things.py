"""Everything that stands on the ground: shapes in metres, and their stock in a scene."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from mutdet.data.scenes.canvas import bounds, fill
from mutdet.data.scenes.frame import moved, rotate

_BUILT, _PLANTED = 1, 2
_SMALLEST_SHARE = 0.35


@dataclass(frozen=True)
class Part:
    """One polygon [K, 2] of a single colour (RGB, 0 to 255)."""

    points: np.ndarray
    colour: np.ndarray


@dataclass(frozen=True)
class Shape:
    """Object about its own origin, x forwards, in metres.

    Attributes:
        silhouette: convex polygons whose union is the body that is labelled.
        parts: what is drawn within the silhouette, in order.
        height: of the body above the ground.
        lift: of the body's underside; above zero the shadow comes off the body.
        category: label, or None for what is not labelled.
    """

    silhouette: tuple[np.ndarray, ...]
    parts: tuple[Part, ...]
    height: float
    lift: float = 0.0
    category: str | None = None

    def placed(self, x: float, y: float, angle: float) -> "Shape":
        """Shape turned by `angle` and moved to a place in the scene."""

        def move(points: np.ndarray) -> np.ndarray:
            return moved(rotate(points, angle), x, y)

        parts = tuple(Part(move(part.points), part.colour) for part in self.parts)
        return Shape(tuple(move(piece) for piece in self.silhouette), parts, self.height, self.lift, self.category)

    def outline(self) -> np.ndarray:
        """Vertices [K, 2] of the convex hull of the silhouette."""
        return convex_hull(self.silhouette)

    def visible_outline(self, extent: float) -> np.ndarray:
        """Vertices [K, 2] of the convex hull of what lies in [0, extent] x [0, extent]; none if nothing does."""
        return convex_hull([clip_to_square(piece, extent) for piece in self.silhouette])


@dataclass
class Stock:
    """Shapes placed in a scene; refuses those that would touch another or hardly reach into the image."""

    size: int
    gsd: float
    smallest_side: float
    shapes: list[Shape] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._occupied = np.zeros((self.size, self.size), dtype=np.uint8)

    def __iter__(self) -> Iterator[Shape]:
        return iter(self.shapes)

    def add(self, shape: Shape, x: float, y: float, angle: float) -> bool:
        """Place a shape at x, y (metres) if there is room for it; tells whether there was."""
        reach = max(float(np.abs(piece).max()) for piece in shape.silhouette) * 1.5 / self.gsd
        if not (-reach < x / self.gsd < self.size + reach and -reach < y / self.gsd < self.size + reach):
            return False
        placed = shape.placed(x, y, angle)
        pixels = placed.outline() / self.gsd
        if placed.category is not None and not self._presentable(placed):
            return False
        region, mask = self._footprint(pixels)
        if mask.size == 0 or (self._occupied[region][mask > 0]).any():
            return False
        self._occupied[region] |= mask * np.uint8(_BUILT)
        self.shapes.append(placed)
        return True

    def free(self, x: float, y: float, radius: float) -> bool:
        """Whether nothing stands within `radius` metres of a place in the image."""
        column, row, reach = int(x / self.gsd), int(y / self.gsd), max(1, int(radius / self.gsd))
        window = self._occupied[max(0, row - reach) : row + reach + 1, max(0, column - reach) : column + reach + 1]
        return window.size > 0 and not (window & _BUILT).any()

    def reserve(self, points: np.ndarray) -> None:
        """Keep a polygon [K, 2] (metres) free of later shapes and trees."""
        self._mark(points, _BUILT)

    def shelter(self, points: np.ndarray) -> None:
        """Keep a polygon [K, 2] (metres), a tree's crown, free of later shapes but not of other trees."""
        self._mark(points, _PLANTED)

    def _mark(self, points: np.ndarray, value: int) -> None:
        region, mask = self._footprint(points / self.gsd)
        self._occupied[region] |= mask * np.uint8(value)

    def _presentable(self, placed: Shape) -> bool:
        visible = placed.visible_outline(self.size * self.gsd)
        if len(visible) < 3:
            return False
        share = cv2.contourArea(visible) / max(cv2.contourArea(placed.outline()), 1e-6)
        return share >= _SMALLEST_SHARE and min(cv2.minAreaRect(visible)[1]) >= self.smallest_side * self.gsd

    def _footprint(self, pixels: np.ndarray) -> tuple[tuple[slice, slice], np.ndarray]:
        (left, right), (top, bottom) = bounds(pixels, self.size)
        mask = np.zeros((max(0, bottom - top), max(0, right - left)), dtype=np.uint8)
        if mask.size:
            fill(mask, pixels - (left, top), 1, cv2.LINE_8)
        return (slice(top, max(top, bottom)), slice(left, max(left, right))), mask


def convex_hull(pieces: Sequence[np.ndarray]) -> np.ndarray:
    """Vertices [K, 2] float32 of the convex hull of several polygons."""
    points = np.concatenate(pieces).astype(np.float32)
    return cv2.convexHull(points)[:, 0] if len(points) else points


def clip_to_square(points: np.ndarray, side: float) -> np.ndarray:
    """Vertices [K, 2] of a convex polygon's part inside [0, side] x [0, side]; none if they do not meet."""
    if (points >= 0).all() and (points <= side).all():
        return points.astype(np.float32)
    square = np.array([[0, 0], [side, 0], [side, side], [0, side]], dtype=np.float32)
    area, common = cv2.intersectConvexConvex(points.astype(np.float32), square)
    return common[:, 0] if area > 0 else np.zeros((0, 2), dtype=np.float32)


def disc(x: float, y: float, radius: float, corners: int = 28) -> np.ndarray:
    """Regular polygon [corners, 2] in place of a circle."""
    angles = np.arange(corners) * (2 * np.pi / corners)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


def darker(colour: Sequence[float] | np.ndarray, factor: float) -> np.ndarray:
    """Colour times a factor (above 1: brighter), clipped to 0..255."""
    return np.clip(np.asarray(colour, dtype=np.float64) * factor, 0, 255)
