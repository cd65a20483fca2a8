"""Boxes of all masks of a tile, filtered: the rows of the table of boxes."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from mutdet.geometry.rotated_boxes import corners
from mutdet.proposals.box_filters import kept_boxes
from mutdet.proposals.mask import Mask
from mutdet.proposals.mask_boxes import box_of_region
from mutdet.settings.boxes import BoxFilterSettings

_NAMES = ("cx", "cy", "w", "h", "angle")


def boxes_of_tile(tile_id: str, masks: Mapping[int, Mask], settings: BoxFilterSettings) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Rows of the table of boxes for the masks, by mask_id, of one tile, and how many boxes each filter dropped.

    A box's score is the mask's predicted IoU times its stability score, at most 1.
    """
    if not masks:
        return [], Counter()
    mask_ids = list(masks)
    height, width = masks[mask_ids[0]].size
    boxes = np.stack([box_of_region(mask.region) for mask in masks.values()])
    areas = [mask.area for mask in masks.values()]
    fill = np.array(areas) / (boxes[:, 2] * boxes[:, 3])
    scores = np.clip([mask.predicted_iou * mask.stability_score for mask in masks.values()], 0, 1)
    kept, dropped = kept_boxes(boxes, fill, scores, height * width, settings)
    outlines = corners(boxes).reshape(-1, 8)
    rows = [
        {
            "tile_id": tile_id,
            "mask_id": mask_ids[index],
            **dict(zip(_NAMES, boxes[index].tolist(), strict=True)),
            "polygon": outlines[index].tolist(),
            "mask_area": areas[index],
            "fill": float(fill[index]),
            "score": float(scores[index]),
        }
        for index in kept.tolist()
    ]
    return rows, dropped
