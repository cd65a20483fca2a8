"""Rotated box of a mask (docs/method.md A, with defect E 9 avoided: the rectangle stays one)."""

import cv2
import numpy as np
from numpy.typing import NDArray

from mutdet.geometry.rotated_boxes import to_le90
from mutdet.proposals.mask import Region

Array = NDArray[np.float64]


def box_of_region(region: Region) -> Array:
    """[5] le90 box of least area around the outline of largest area of a mask, in pixels of the tile.

    The rectangle goes through pixel centres; half a pixel of shift and a pixel of size make it cover whole pixels.

    Raises:
        ValueError: the mask is empty.
    """
    if region.width == 0:
        raise ValueError("the mask is empty")
    outlines, _ = cv2.findContours(region.array(), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=cv2.contourArea)
    box = smallest_rectangle(outline[:, 0])
    box[:2] += np.array([region.x, region.y]) + 0.5
    box[2:4] += 1
    return to_le90(box)[0]


def smallest_rectangle(points: NDArray) -> Array:
    """[5] rectangle (cx, cy, w, h, angle) of least area around points [M, 2].

    Taken from the corners: the range of OpenCV's angle has changed between its versions.
    """
    corners = cv2.boxPoints(cv2.minAreaRect(points.astype(np.int32))).astype(np.float64)
    first, second = corners[1] - corners[0], corners[2] - corners[1]
    longer = first if np.hypot(*first) >= np.hypot(*second) else second
    return np.array([*corners.mean(axis=0), *sorted((np.hypot(*first), np.hypot(*second)), reverse=True), np.arctan2(longer[1], longer[0])])
