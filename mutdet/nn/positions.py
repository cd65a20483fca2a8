"""Sine encodings of places and boxes."""

import math

import torch
from torch import Tensor

from mutdet.nn.feature_levels import FeatureLevels

TEMPERATURE = 10000.0


def sine_encoding(values: Tensor, features: int) -> Tensor:
    """Alternating sines and cosines of values in [0, 1], one turn wide at the lowest frequency (Vaswani et al. 2017).

    Args:
        values: [..., n].
        features: numbers per value, even.

    Returns:
        [..., n * features].
    """
    exponents = torch.arange(0, features, 2, device=values.device, dtype=values.dtype) / features
    phases = (2 * math.pi * values)[..., None] / TEMPERATURE**exponents
    return torch.stack([phases.sin(), phases.cos()], dim=-1).flatten(-3)


def grid_encoding(levels: FeatureLevels, width: int) -> Tensor:
    """[B, K, width] encoding of the cells' centres: first half y, second half x."""
    return sine_encoding(levels.centres().flip(-1), width // 2)


def box_encoding(boxes: Tensor, width: int) -> Tensor:
    """[..., 2 * width] encoding of normalised boxes [..., 4] in the order y, x, w, h."""
    return sine_encoding(boxes[..., [1, 0, 2, 3]], width // 2)
