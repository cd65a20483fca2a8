"""Dense multi-head attention with key masks."""

import torch.nn.functional as F
from torch import Tensor, nn


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
        dropout = self.dropout if self.training else 0.0
        if mask is None:
            return self._join(F.scaled_dot_product_attention(q, k, v, dropout_p=dropout))
        mask = mask[:, None]
        some = mask.any(-1, keepdim=True)
        # Softmax over nothing is not a number: such a query looks everywhere, and what it saw is discarded.
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask | ~some, dropout_p=dropout)
        return self._join(attended.masked_fill(~some, 0.0))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _join(self, x: Tensor) -> Tensor:
        return self.output(x.transpose(1, 2).flatten(2))
