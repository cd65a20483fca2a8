"""Which objects belong to a tile (docs/method.md A, tiling)."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mutdet.data.label import Label
from mutdet.data.labels import untangle
from mutdet.data.windows import Window
from mutdet.geometry.polygons import areas, clip_areas, horizontal_boxes

_TRUNCATED = 2
_ROUNDING = 1e-9
"""Share of an object's area that may be the rounding of an empty intersection."""


class TileLabels:
    """Gives each window of an image its objects.

    An object belongs to a window if at least `label_fraction` of its area lies inside; it keeps its whole polygon, and gets difficulty 2 where
    a part lies outside.

    Args:
        labels: objects of the image.
        label_fraction: 0 to 1.
        counts: `objects`, `kept_objects`, `truncated_objects`, `objects_below_label_fraction` (each per tile) and
            `objects_in_no_tile` (at `finish`) are added to.
    """

    def __init__(self, labels: Sequence[Label], label_fraction: float, counts: Counter[str]) -> None:
        self._labels = labels
        self._label_fraction = label_fraction
        self._counts = counts
        self._polygons = np.array([label.polygon for label in labels], dtype=np.float64).reshape(-1, 4, 2)
        self._measured = untangle(self._polygons)
        self._areas = areas(self._measured)
        self._boxes = horizontal_boxes(self._measured)
        self._placed = np.zeros(len(labels), dtype=bool)
        counts["objects"] += len(labels)

    def of(self, window: Window, scale: float) -> list[dict[str, Any]]:
        """Labels of a tile: whole polygons in tile pixels (`scale` tile pixels per source pixel), category, difficulty; in the file's order."""
        x0, y0, x1, y1 = window.x, window.y, window.x + window.side, window.y + window.side
        near = np.flatnonzero((self._boxes[:, 0] < x1) & (self._boxes[:, 1] < y1) & (self._boxes[:, 2] > x0) & (self._boxes[:, 3] > y0))
        share = clip_areas(self._measured[near], x0, y0, x1, y1) / self._areas[near]
        whole = np.all((self._boxes[near] >= (x0, y0, -np.inf, -np.inf)) & (self._boxes[near] <= (np.inf, np.inf, x1, y1)), axis=1)
        touching = whole | (share > _ROUNDING)
        enough = whole | (touching & (share >= self._label_fraction))
        kept, complete = near[enough], whole[enough]
        self._placed[kept] = True
        self._counts["kept_objects"] += len(kept)
        self._counts["truncated_objects"] += int(np.count_nonzero(~complete))
        self._counts["objects_below_label_fraction"] += int(np.count_nonzero(touching & ~enough))
        polygons = (self._polygons[kept] - (x0, y0)) * scale
        return [self._row(index, polygon, inside) for index, polygon, inside in zip(kept, polygons, complete, strict=True)]

    def _row(self, index: int, polygon: NDArray[np.float64], inside: bool) -> dict[str, Any]:
        label = self._labels[index]
        return {"polygon": polygon.ravel().tolist(), "category": label.category, "difficulty": label.difficulty if inside else _TRUNCATED}

    def finish(self) -> None:
        """Count the objects that no window has taken."""
        self._counts["objects_in_no_tile"] += int((~self._placed).sum())
