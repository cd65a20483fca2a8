"""Projection of encoder tokens before heads or enhancement."""

from torch import Tensor, nn


class TokenProjection(nn.Module):
    """Linear and LayerNorm over tokens, those that cannot become proposals zeroed before (two-stage deformable DETR)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, memory: Tensor, valid: Tensor) -> Tensor:
        """Memory [B, K, C] and [B, K] True for tokens that keep their value, to [B, K, C]."""
        return self.norm(self.linear(memory.masked_fill(~valid[..., None], 0.0)))
