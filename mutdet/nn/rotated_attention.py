"""Rotated deformable attention of ARS-DETR's decoder: sampling places turn with the box."""

import math

import torch
from torch import Tensor

from mutdet.nn.box_coding import box_scales
from mutdet.nn.deformable_attention import Placement
from mutdet.nn.feature_levels import FeatureLevels


def around_rotated_boxes(boxes: Tensor, angles: Tensor, levels: FeatureLevels, points: int) -> Placement:
    """Placement of the decoder: offsets count half sides of the reference box over the number of points, turned by its angle.

    The offset is turned in pixels and normalised afterwards, so that it is a rotation in images that are not square, too
    (method-mutdet.md B turns normalised coordinates, which is the same in square ones).

    Args:
        boxes: [B, Q, 4] normalised reference boxes.
        angles: [B, Q] radians in [-pi/2, pi/2).
        levels: layout of the tokens.
        points: sampling points per head and level.
    """
    scales = box_scales(levels.sizes)[:, None]
    sides, turn = nearest_upright(boxes[..., 2:] * scales[..., 2:], angles)
    cos, sin = (part[:, :, None, None, None] for part in (turn.cos(), turn.sin()))
    steps = (sides / (2 * points))[:, :, None, None, None]
    pixels = scales[..., :2][:, :, None, None, None]
    centres = boxes[:, :, None, None, None, :2]
    ratios = levels.valid_ratios[:, None, None, :, None]

    def place(offsets: Tensor) -> Tensor:
        x, y = (offsets * steps).unbind(-1)
        turned = torch.stack([x * cos - y * sin, x * sin + y * cos], dim=-1)
        return (centres + turned / pixels) * ratios

    return place


def nearest_upright(sides: Tensor, angles: Tensor) -> tuple[Tensor, Tensor]:
    """Name the same rectangles by an angle in [-pi/4, pi/4]: sides [..., 2] swap where the angle [...] lies beyond."""
    beyond = angles.abs() > math.pi / 4
    return torch.where(beyond[..., None], sides.flip(-1), sides), torch.where(beyond, angles - torch.sign(angles) * (math.pi / 2), angles)
