"""What the processes of one training tell each other; alone, every function gives what it was given.

A step's loss is a sum over the objects of all processes, divided by their number. Gradients are averaged over processes, so each one divides
its own sum by the mean number of objects per process.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def ranks() -> int:
    """Number of processes that train together."""
    return dist.get_world_size() if _together() else 1


def rank() -> int:
    """This process's number among them, from 0."""
    return dist.get_rank() if _together() else 0


def mean_over_ranks(values: Tensor) -> Tensor:
    """Mean of a tensor over all processes, without gradient."""
    values = values.detach().clone() if values.is_floating_point() else values.float()
    if _together():
        dist.all_reduce(values)
    return values / ranks()


def share_of_count(count: int | Tensor, device: torch.device) -> Tensor:
    """Mean of a count, or of a tensor of counts, over all processes, together at least 1: what each divides its sum by."""
    return mean_over_ranks(torch.as_tensor(count, device=device)).clamp(min=1 / ranks())


def largest_over_ranks(number: int, device: torch.device) -> int:
    """Largest of a number over all processes."""
    if not _together():
        return number
    held = torch.tensor(number, device=device)
    dist.all_reduce(held, dist.ReduceOp.MAX)
    return int(held)


def rows_of_all_ranks(rows: Tensor) -> tuple[Tensor, int]:
    """Rows [R, ...] of all processes, in their order, and where this one's begin; numbers of rows may differ.

    Gradients of what every process makes of the rows come back summed, so that a loss that all compute alike from them counts once after averaging.
    """
    if not _together():
        return rows, 0
    counts = [torch.zeros((), dtype=torch.int64, device=rows.device) for _ in range(ranks())]
    dist.all_gather(counts, torch.tensor(len(rows), device=rows.device))
    lengths = [int(count) for count in counts]
    joined: Tensor = _Gather.apply(rows, lengths)
    return joined, sum(lengths[: rank()])


def rows_of_this_rank(rows: Tensor) -> tuple[Tensor, int]:
    """In place of `rows_of_all_ranks` where nothing is to be gathered."""
    return rows, 0


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, lengths: list[int]) -> Tensor:
        ctx.lengths = lengths
        padded = rows.new_zeros((max(lengths), *rows.shape[1:]))
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in lengths]
        dist.all_gather(parts, padded)
        return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        gradient = gradient.contiguous().clone()
        dist.all_reduce(gradient)
        return gradient.split(ctx.lengths)[rank()], None


def _together() -> bool:
    return dist.is_available() and dist.is_initialized()
