"""Sampling on the operations of plain PyTorch: any device, any number type, second derivatives; the reference of the compiled forms."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor


def sample_levels_plain(values: Tensor, shapes: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    """See `mutdet.nn.level_sampling.choice.sample_levels`."""
    batch, _, heads, channels = values.shape
    queries, points = locations.shape[1], locations.shape[4]
    maps = values.permute(0, 2, 3, 1).reshape(batch * heads, channels, -1)
    # Level first: each slice below is contiguous, and no level is copied twice.
    grids = (2 * locations - 1).permute(3, 0, 2, 1, 4, 5).reshape(-1, batch * heads, queries, points, 2)
    shares = weights.permute(3, 0, 2, 1, 4).reshape(-1, batch * heads, 1, queries, points)
    result = maps.new_zeros(())
    for level, ((rows, columns), part) in enumerate(zip(shapes, maps.split([r * c for r, c in shapes], dim=2), strict=True)):
        samples = F.grid_sample(part.unflatten(2, (rows, columns)), grids[level], align_corners=False)
        result = result + (samples * shares[level]).sum(-1)
    return result.view(batch, heads * channels, queries).transpose(1, 2)
