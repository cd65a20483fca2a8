"""Boxes of all masks of a tile, filtered: the rows of the table of boxes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mutdet.geometry.rotated_boxes import corners
from mutdet.proposals.box_filters import kept_boxes
from mutdet.proposals.mask_boxes import box_of_mask
from mutdet.settings.boxes import BoxesSettings

_NAMES = ("cx", "cy", "w", "h", "angle")


def boxes_of_tile(masks: Sequence[Mapping[str, Any]], settings: BoxesSettings) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Rows of the table of boxes for the rows of the table of masks of one tile, and how many boxes each filter dropped.

    A box's score is the mask's predicted IoU times its stability score, at most 1.
    """
    if not masks:
        return [], Counter()
    height, width = masks[0]["size"]
    boxes = np.stack([box_of_mask((height, width), mask["counts"]) for mask in masks])
    fill = np.array([mask["area"] for mask in masks]) / (boxes[:, 2] * boxes[:, 3])
    scores = np.clip([mask["predicted_iou"] * mask["stability_score"] for mask in masks], 0, 1)
    kept, dropped = kept_boxes(boxes, fill, scores, height * width, settings)
    outlines = corners(boxes).reshape(-1, 8)
    rows = [
        {
            "tile_id": masks[index]["tile_id"],
            "mask_id": masks[index]["mask_id"],
            **dict(zip(_NAMES, boxes[index].tolist(), strict=True)),
            "polygon": outlines[index].tolist(),
            "mask_area": masks[index]["area"],
            "fill": float(fill[index]),
            "score": float(scores[index]),
        }
        for index in kept.tolist()
    ]
    return rows, dropped
