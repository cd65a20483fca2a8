"""Rotated deformable attention of ARS-DETR's decoder: sampling places turn with the box."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from mutdet.nn.box_coding import box_scales
from mutdet.nn.deformable_attention import Placement
from mutdet.nn.feature_levels import FeatureLevels

Orientation = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Boxes [..., 4] and their angles [...] to the rectangles that queries look along, and how these are turned, radians."""


def around_rotated_boxes(boxes: Tensor, angles: Tensor, levels: FeatureLevels, points: int) -> Placement:
    """Placement of the decoder: offsets count half sides of the reference box over the number of points, turned by its angle.

    The offset is turned in pixels and normalised afterwards, so that it is a rotation in images that are not square, too
    (docs/method.md B turns normalised coordinates, which is the same in square ones).

    Args:
        boxes: [B, Q, 4] normalised reference boxes, sides as `nearest_upright` names them.
        angles: [B, Q] radians in [-pi/4, pi/4].
        levels: layout of the tokens.
        points: sampling points per head and level.
    """
    scales = box_scales(levels.sizes)[:, None]
    cos, sin = (part[:, :, None, None, None] for part in (angles.cos(), angles.sin()))
    steps = (boxes[..., 2:] * scales[..., 2:] / (2 * points))[:, :, None, None, None]
    pixels = scales[..., :2][:, :, None, None, None]
    centres = boxes[:, :, None, None, None, :2]
    ratios = levels.valid_ratios[:, None, None, :, None]

    def place(offsets: Tensor) -> Tensor:
        x, y = (offsets * steps).unbind(-1)
        turned = torch.stack([x * cos - y * sin, x * sin + y * cos], dim=-1)
        return (centres + turned / pixels) * ratios

    return place


def nearest_upright(boxes: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
    """Name the same rectangles by the angle nearest to 0.

    Args:
        boxes: [..., 4] (cx, cy, w, h) whose sides share one unit.
        angles: [...] radians in [-pi/2, pi/2).

    Returns:
        Boxes with w and h swapped where the angle was beyond pi/4, and angles in [-pi/4, pi/4].
    """
    beyond = angles.abs() > math.pi / 4
    return torch.where(beyond[..., None], boxes[..., [0, 1, 3, 2]], boxes), torch.where(beyond, angles - torch.sign(angles) * (math.pi / 2), angles)


def ignore_angles(boxes: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
    """The same boxes, upright: places do not turn with them (plain deformable attention)."""
    return boxes, torch.zeros_like(angles)
