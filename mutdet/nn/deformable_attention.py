"""Multi-scale deformable attention (Zhu et al. 2021)."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mutdet.nn.feature_levels import FeatureLevels
from mutdet.nn.level_sampling.choice import sample_levels

Placement = Callable[[Tensor], Tensor]
"""Maps predicted offsets [B, Q, heads, L, points, 2] to sampling locations of the same shape, 0 to 1 over the level."""


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
        # One long last axis: pairs (x, y) as the innermost loop of a broadcast are ten times slower on a CPU.
        layout = offsets.shape[-3:]
        starts, steps = (pairs.expand(*pairs.shape[:-3], *layout).flatten(-3) for pairs in (centres[:, :, None, :, None], cells[:, None]))
        return torch.addcdiv(starts, offsets.flatten(-3), steps).unflatten(-1, layout)

    return place
