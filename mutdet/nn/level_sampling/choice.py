"""Which form of sampling runs where."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mutdet.nn.level_sampling.on_cpu import sample_levels_on_cpu
from mutdet.nn.level_sampling.plain import sample_levels_plain


def sample_levels(values: Tensor, shapes: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of bilinear samples over levels and points (Zhu et al. 2021, Eq. 3); samples outside a level are zero.

    Compiled on a CPU, in plain PyTorch elsewhere. Half precision under autocast is sampled in float32: a place of a large level needs more digits.

    Args:
        values: [B, K, heads, channels].
        shapes: (rows, columns) of every level.
        locations: [B, Q, heads, L, points, 2] (x, y), 0 to 1 over the whole level.
        weights: [B, Q, heads, L, points].

    Returns:
        [B, Q, heads * channels].
    """
    kind = torch.promote_types(torch.promote_types(values.dtype, locations.dtype), torch.promote_types(weights.dtype, torch.float32))
    sample = sample_levels_on_cpu if values.device.type == "cpu" else sample_levels_plain
    return sample(values.to(kind), shapes, locations.to(kind), weights.to(kind))
