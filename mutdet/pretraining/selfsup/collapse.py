"""Figures that show whether a network gives all images the same features."""

import torch
from torch import Tensor
from torch.nn.functional import normalize


@torch.no_grad()
def feature_deviation(features: Tensor) -> float:
    """Mean deviation of unit-length features over a batch, times the root of their width (SimSiam, Fig. 2).

    0 where all features are equal; 1 for directions drawn evenly from the sphere; in between for features that cannot be
    negative, whose directions share an orthant.

    Args:
        features: [B, D] with B >= 2.
    """
    unit = normalize(features.float(), dim=1)
    return float(unit.std(dim=0, correction=0).mean() * features.shape[1] ** 0.5)
