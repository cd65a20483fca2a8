"""Encoder: deformable self-attention over the feature pyramid."""

from collections.abc import Sequence

from torch import Tensor, nn

from mutdet.nn.deformable_attention import DeformableAttention, Placement, around_cells
from mutdet.nn.feature_levels import FeatureLevels
from mutdet.nn.feed_forward import FeedForward
from mutdet.settings.detectors import DetectorSettings


class EncoderLayer(nn.Module):
    """Deformable self-attention and feed-forward block, each followed by the normalisation of its sum with the input."""

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__()
        self.attention = DeformableAttention(settings.width, settings.heads, settings.levels, settings.points)
        self.attention_norm = nn.LayerNorm(settings.width)
        self.feed_forward = FeedForward(settings.width, settings.feed_forward, settings.dropout)
        self.feed_forward_norm = nn.LayerNorm(settings.width)
        self.dropout = nn.Dropout(settings.dropout)

    def forward(self, tokens: Tensor, positions: Tensor, padding_mask: Tensor, shapes: Sequence[tuple[int, int]], place: Placement) -> Tensor:
        """[B, K, C] tokens to [B, K, C]."""
        attended = self.attention(tokens + positions, tokens, padding_mask, shapes, place)
        tokens = self.attention_norm(tokens + self.dropout(attended))
        return self.feed_forward_norm(tokens + self.feed_forward(tokens))


class Encoder(nn.Module):
    """Stack of encoder layers."""

    def __init__(self, settings: DetectorSettings) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(settings) for _ in range(settings.encoder_layers))

    def forward(self, tokens: Tensor, positions: Tensor, padding_mask: Tensor, levels: FeatureLevels) -> Tensor:
        """Mix the tokens of all levels.

        Args:
            tokens: [B, K, C].
            positions: [B, K, C] added to the queries of every layer.
            padding_mask: [B, K] True outside the image.
            levels: layout of the tokens.

        Returns:
            [B, K, C]; undefined outside the image.
        """
        place = around_cells(levels)
        for layer in self.layers:
            tokens = layer(tokens, positions, padding_mask, levels.shapes, place)
        return tokens
