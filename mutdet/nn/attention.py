"""Dense multi-head attention with key masks."""

import torch.nn.functional as F
from torch import Tensor, nn

from mutdet.nn.full_precision import at_least_single, full_precision

_NARROW = 32
"""Channels of a head, up to which PyTorch's CPU kernel takes a gradient in bfloat16 two to four times as long as in float32."""


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017); a query that may attend to nothing gets the output bias alone."""

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.output = nn.Linear(width, width)
        for layer in (self.query, self.key, self.value, self.output):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            query: [B, Q, C].
            key: [B, K, C].
            value: [B, K, C].
            mask: [B, Q or 1, K] True where the query may attend to the key; None: everywhere.

        Returns:
            [B, Q, C].
        """
        q, k, v = (self._split(layer(x)) for layer, x in ((self.query, query), (self.key, key), (self.value, value)))
        if mask is None:
            return self._join(self._attend(q, k, v, None))
        mask = mask[:, None]
        some = mask.any(-1, keepdim=True)
        # Softmax over nothing is not a number: such a query looks everywhere, and what it saw is discarded.
        return self._join(self._attend(q, k, v, mask | ~some).masked_fill(~some, 0.0))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        if q.device.type == "cpu" and q.shape[-1] <= _NARROW:
            with full_precision(q.device):
                q, k, v = at_least_single(q), at_least_single(k), at_least_single(v)
                return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _join(self, x: Tensor) -> Tensor:
        return self.output(x.transpose(1, 2).flatten(2))
