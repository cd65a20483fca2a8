"""Which boxes of a tile stay."""

from collections import Counter
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mutdet.geometry.nms import rotated_nms
from mutdet.settings.boxes import BoxFilterSettings

Array = NDArray[np.floating]
FILTERS = ("min_side", "min_area_share", "max_area_share", "min_fill", "min_score", "nms_thresh", "max_per_tile")
"""In the order in which they apply."""


def kept_boxes(boxes: Array, fill: Array, scores: Array, tile_area: float, settings: BoxFilterSettings) -> tuple[NDArray[np.intp], Counter[str]]:
    """Ascending indices of the boxes that pass every filter, and how many each filter dropped.

    Args:
        boxes: [M, 5] in tile pixels.
        fill: [M] share of each box that its mask covers.
        scores: [M], 0 to 1.
        tile_area: pixels of the tile.
        settings: limits; of two boxes with the same score the first goes before the second.
    """
    share = boxes[:, 2] * boxes[:, 3] / tile_area
    passes: dict[str, Callable[[NDArray[np.intp]], NDArray[np.intp]]] = {
        "min_side": lambda left: left[boxes[left, 2:4].min(axis=1) >= settings.min_side],
        "min_area_share": lambda left: left[share[left] >= settings.min_area_share],
        "max_area_share": lambda left: left[share[left] <= settings.max_area_share],
        "min_fill": lambda left: left[fill[left] >= settings.min_fill],
        "min_score": lambda left: left[scores[left] >= settings.min_score],
        "nms_thresh": lambda left: left if settings.nms_thresh is None else left[rotated_nms(boxes[left], scores[left], settings.nms_thresh)],
        "max_per_tile": lambda left: left[np.argsort(-scores[left], kind="stable")][: settings.max_per_tile],
    }
    left, dropped = np.arange(len(boxes)), Counter[str]()
    for name in FILTERS:
        before, left = len(left), np.sort(passes[name](left))
        dropped[name] = before - len(left)
    return left, dropped
