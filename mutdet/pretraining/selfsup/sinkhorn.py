"""Entropic optimal transport by Sinkhorn's iterations in the log domain."""

import torch
from torch import Tensor


def transport_plan(cost: Tensor, rows: Tensor, columns: Tensor, sharpness: float, iterations: int) -> Tensor:
    """Plan diag(v) P diag(u) with P = exp(-sharpness * cost), after fixed iterations v = rows / (P u), u = columns / (P^T v) from u = 1.

    Self-EMD's Algorithm 1, which prints M for P. It ends on columns: these marginals are met exactly, the rows' only at
    convergence. Logarithms keep it finite where plain exponentials in float32 are not (docs/method.md F).

    Args:
        cost: [..., N, M], finite.
        rows: [..., N] marginal weights >= 0 that sum to 1; a node of weight 0 gets no mass.
        columns: [..., M] likewise.
        sharpness: lambda > 0.
        iterations: at least 1.

    Returns:
        [..., N, M] masses >= 0 that sum to 1.
    """
    kernel = -sharpness * cost
    log_rows, log_columns = rows.log(), columns.log()
    along_columns = torch.zeros_like(log_columns)
    along_rows = torch.zeros_like(log_rows)
    for _ in range(iterations):
        along_rows = log_rows - torch.logsumexp(kernel + along_columns.unsqueeze(-2), dim=-1)
        along_columns = log_columns - torch.logsumexp(kernel + along_rows.unsqueeze(-1), dim=-2)
    return (along_rows.unsqueeze(-1) + kernel + along_columns.unsqueeze(-2)).exp()
