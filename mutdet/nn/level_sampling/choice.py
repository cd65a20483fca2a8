"""Which form of sampling runs where."""

from collections.abc import Callable

import torch
from torch import Tensor

from mutdet.nn.level_sampling.function import Shapes
from mutdet.nn.level_sampling.on_cpu import sample_levels_on_cpu
from mutdet.nn.level_sampling.on_cuda import sample_levels_on_cuda, triton_runs
from mutdet.nn.level_sampling.plain import sample_levels_plain

Sampling = Callable[[Tensor, Shapes, Tensor, Tensor], Tensor]
"""A form of `sample_levels`."""


@torch.compiler.disable  # Its forms are compiled already.
def sample_levels(values: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of bilinear samples over levels and points (Zhu et al. 2021, Eq. 3); samples outside a level are zero.

    Half precision under autocast is sampled in float32: a place of a large level needs more digits.

    Args:
        values: [B, K, heads, channels].
        shapes: (rows, columns) of every level.
        locations: [B, Q, heads, L, points, 2] (x, y), 0 to 1 over the whole level.
        weights: [B, Q, heads, L, points].

    Returns:
        [B, Q, heads * channels].
    """
    kind = torch.promote_types(torch.promote_types(values.dtype, locations.dtype), torch.promote_types(weights.dtype, torch.float32))
    sample = sampling_on(values.device)
    # Triton reads half precision as it is: half the memory and traffic, the same result.
    read = values if sample is sample_levels_on_cuda else values.to(kind)
    return sample(read, shapes, locations.to(kind), weights.to(kind))


def sampling_on(device: torch.device) -> Sampling:
    """Compiled on a CPU; in Triton on CUDA devices where it runs; in plain PyTorch elsewhere."""
    if device.type == "cpu":
        return sample_levels_on_cpu
    return sample_levels_on_cuda if device.type == "cuda" and triton_runs() else sample_levels_plain
