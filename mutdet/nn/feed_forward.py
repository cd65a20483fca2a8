"""Feed-forward block of a transformer layer."""

from torch import Tensor, nn


class FeedForward(nn.Module):
    """Linear, ReLU, Linear, with dropout after each."""

    def __init__(self, width: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.expand, self.contract):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """[..., C] to [..., C]."""
        return self.dropout(self.contract(self.dropout(self.expand(x).relu())))
