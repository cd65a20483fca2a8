"""Multi-scale deformable attention (Zhu et al. 2021) on the operations of plain PyTorch."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mutdet.nn.feature_levels import FeatureLevels

Placement = Callable[[Tensor], Tensor]
"""Maps predicted offsets [B, Q, heads, L, points, 2] to sampling locations of the same shape, 0 to 1 over the level."""


def sample_levels(values: Tensor, shapes: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor) -> Tensor:
    """Weighted sum of bilinear samples over levels and points; samples outside a level are zero.

    Args:
        values: [B, K, heads, channels].
        shapes: (rows, columns) of every level.
        locations: [B, Q, heads, L, points, 2] (x, y), 0 to 1 over the whole level.
        weights: [B, Q, heads, L, points].

    Returns:
        [B, Q, heads * channels].
    """
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


class DeformableAttention(nn.Module):
    """Attention of queries to few places of every level; where the places lie is the caller's `Placement`."""

    def __init__(self, width: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.layout = (heads, levels, points)
        self.sampling_offsets = nn.Linear(width, heads * levels * points * 2)
        self.attention_weights = nn.Linear(width, heads * levels * points)
        self.values = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        self._initialise()

    def _initialise(self) -> None:
        """Start with one direction per head and one distance per point, evenly weighted."""
        heads, levels, points = self.layout
        angles = torch.arange(heads) * (2 * math.pi / heads)
        directions = torch.stack([angles.cos(), angles.sin()], dim=-1)
        directions = directions / directions.abs().amax(-1, keepdim=True)
        offsets = directions[:, None, None] * torch.arange(1, points + 1)[:, None].expand(levels, points, 1)
        for layer in (self.sampling_offsets, self.attention_weights):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.flatten())
        for layer in (self.values, self.output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, query: Tensor, memory: Tensor, padding_mask: Tensor, shapes: Sequence[tuple[int, int]], place: Placement) -> Tensor:
        """Attend.

        Args:
            query: [B, Q, C].
            memory: [B, K, C].
            padding_mask: [B, K] True for tokens that count as zero.
            shapes: (rows, columns) of every level.
            place: sampling locations from offsets.

        Returns:
            [B, Q, C].
        """
        heads, levels, points = self.layout
        values = self.values(memory).masked_fill(padding_mask[..., None], 0.0).unflatten(-1, (heads, -1))
        locations = place(self.sampling_offsets(query).unflatten(-1, (heads, levels, points, 2)))
        weights = self.attention_weights(query).unflatten(-1, (heads, levels * points)).softmax(-1).unflatten(-1, (levels, points))
        return self.output(sample_levels(values, shapes, locations, weights))


def around_cells(levels: FeatureLevels) -> Placement:
    """Placement of the encoder: offsets count cells of each level from the token's own place."""
    centres = levels.centres()[:, :, None] * levels.valid_ratios[:, None]
    cells = centres.new_tensor(levels.shapes).flip(-1)

    def place(offsets: Tensor) -> Tensor:
        return centres[:, :, None, :, None] + offsets / cells[:, None]

    return place
