"""From boxes of overlapping tiles to boxes of whole images."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mutdet.geometry.nms import batched_rotated_nms
from mutdet.geometry.rotated_boxes import Array, as_boxes


def tile_to_source(boxes: ArrayLike, x: float, y: float, scale: float) -> Array:
    """Boxes [M, 5] of a tile in pixels of its source image.

    Args:
        boxes: (cx, cy, w, h, angle) in tile pixels.
        x: left edge of the tile in source pixels.
        y: top edge of the tile in source pixels.
        scale: tile pixels per source pixel.
    """
    source = as_boxes(boxes).copy()
    source[:, :4] /= scale
    source[:, :2] += (x, y)
    return source


def merge_tiles(boxes: ArrayLike, scores: ArrayLike, categories: ArrayLike, threshold: float, limit: int) -> NDArray[np.intp]:
    """Indices of the boxes of one image that stay, in descending score.

    Rotated NMS per class, as in DOTA's tools (IoU 0.1 there); equal scores keep the order given, so that sorted tiles give one result.

    Args:
        boxes: [M, 5] boxes from all tiles, in source pixels.
        scores: [M] finite scores.
        categories: [M] numbers or names of the classes.
        threshold: IoU above which the weaker box goes.
        limit: most boxes to keep.
    """
    return batched_rotated_nms(boxes, scores, categories, threshold)[:limit]
