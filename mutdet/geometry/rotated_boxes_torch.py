"""Twins of `rotated_boxes` for tensors; differentiable, on any device."""

import math

import torch
from torch import Tensor

from mutdet.geometry.rotated_boxes import UNIT_CORNERS, Direction


def corners(boxes: Tensor) -> Tensor:
    """[..., 4, 2] corners of boxes [..., 5], clockwise on the screen from the one that is top left at angle 0."""
    offset = boxes.new_tensor(UNIT_CORNERS) * boxes[..., None, 2:4]
    cosine, sine = boxes[..., None, 4].cos(), boxes[..., None, 4].sin()
    dx, dy = offset.unbind(-1)
    return boxes[..., None, :2] + torch.stack([dx * cosine - dy * sine, dx * sine + dy * cosine], dim=-1)


def to_le90(boxes: Tensor) -> Tensor:
    """The same rectangles [..., 5] with w >= h and angle in [-pi/2, pi/2); boxes that are le90 already come back bit by bit."""
    cx, cy, w, h, angle = boxes.unbind(-1)
    turned = w < h
    half = boxes.new_tensor(math.pi / 2)
    angle = torch.where(turned, angle + half, angle)
    wrapped = torch.remainder(angle + half, 2 * half) - half
    angle = torch.where((angle >= -half) & (angle < half), angle, torch.where(wrapped < half, wrapped, -half))
    return torch.stack([cx, cy, torch.where(turned, h, w), torch.where(turned, w, h), angle], dim=-1)


def flip(boxes: Tensor, direction: Direction, width: float, height: float) -> Tensor:
    """Boxes [..., 5] of an image of width x height pixels after the image is mirrored; diagonal mirrors both axes."""
    cx, cy, w, h, angle = boxes.unbind(-1)
    x = cx if direction == "vertical" else width - cx
    y = cy if direction == "horizontal" else height - cy
    return to_le90(torch.stack([x, y, w, h, angle if direction == "diagonal" else -angle], dim=-1))
