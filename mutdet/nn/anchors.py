"""Anchors: the box that each encoder token starts from."""

import torch
from torch import Tensor

from mutdet.nn.box_coding import inverse_sigmoid
from mutdet.nn.feature_levels import FeatureLevels

BASE_SIDE = 0.05
MARGIN = 0.01


def make_anchors(levels: FeatureLevels, padding_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Square boxes at the cells' centres with sides of 0.05 * 2^level (two-stage deformable DETR).

    Args:
        levels: layout of the tokens.
        padding_mask: [B, K] True outside the image.

    Returns:
        [B, K, 4] normalised boxes before the sigmoid, finite everywhere, and [B, K] True where the token lies in the
        image and all four numbers lie in (0.01, 0.99).
    """
    centres = levels.centres()
    sides = torch.cat([centres.new_full((rows * columns,), BASE_SIDE * 2**level) for level, (rows, columns) in enumerate(levels.shapes)])
    boxes = torch.cat([centres, sides[None, :, None].expand(len(centres), -1, 2)], dim=-1)
    valid = ((boxes > MARGIN) & (boxes < 1 - MARGIN)).all(-1) & ~padding_mask
    return inverse_sigmoid(boxes, eps=MARGIN), valid
