"""Points that a tile is prompted at, in its own pixels."""

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.utils.amg import build_point_grid
from torch import Tensor
from torch.nn import functional

from mutdet.proposals.small_encoder import PEAK_STRIDE

Points = NDArray[np.float64]


def grid(points_per_side: int, height: int, width: int) -> Points:
    """[points_per_side^2, 2] regular grid of segment-anything, row by row; empty for 0."""
    if points_per_side == 0:
        return np.zeros((0, 2))
    return np.asarray(build_point_grid(points_per_side) * np.array([width, height]), np.float64)


def peaks(logits: Tensor, input_size: tuple[int, int], limit: int, threshold: float) -> Points:
    """[M, 2] highest local maxima (3 x 3 cells) of a map of object centres, in pixels of the model's input.

    Args:
        logits: [S / 4, S / 4] map of the small encoder.
        input_size: height and width of the image within the padded input.
        limit: peaks at most, highest first; equal ones row by row.
        threshold: lowest height that counts, 0 to 1.
    """
    height, width = (-(-side // PEAK_STRIDE) for side in input_size)
    heat = torch.sigmoid(logits.float())[:height, :width]
    highest = functional.max_pool2d(heat[None, None], 3, 1, 1)[0, 0]
    rows, columns = torch.nonzero((heat == highest) & (heat >= threshold), as_tuple=True)
    order = torch.sort(heat[rows, columns], descending=True, stable=True).indices[:limit]
    centres = (torch.stack([columns, rows], dim=1)[order].double() + 0.5) * PEAK_STRIDE - 0.5
    return np.minimum(centres.cpu().numpy(), [input_size[1] - 1, input_size[0] - 1])
