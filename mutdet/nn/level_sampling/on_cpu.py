"""Sampling compiled for the CPU: one pass over the samples, nothing of their size is written.

Rows of one (image, head) pair belong to one thread, in the gradient too, so that sums have one order whatever the number of threads.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mutdet.nn.level_sampling.function import CompiledForm, Shapes, sample_by


def sample_levels_on_cpu(values: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """See `mutdet.nn.level_sampling.choice.sample_levels`; all tensors on the CPU, of one type, float32 or float64."""
    return sample_by(_FORM, values, shapes, locations, weights)


def _sample(values: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    result = values.new_empty(*locations.shape[:3], values.shape[3])
    _spread(_kernels().sample, [values, _levels(shapes), locations, weights, result])
    return result


def _gradients(values: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    of_values, of_locations, of_weights = torch.zeros_like(values), torch.empty_like(locations), torch.empty_like(weights)
    _spread(_kernels().gradients, [values, _levels(shapes), locations, weights, gradient, of_values, of_locations, of_weights])
    return of_values, of_locations, of_weights


_FORM = CompiledForm(_sample, _gradients)


def _levels(shapes: Shapes) -> np.ndarray:
    """[L, 3] first token, rows, columns."""
    sides = np.asarray(shapes, np.int64)
    return np.column_stack([np.cumsum(sides.prod(1)) - sides.prod(1), sides])


@cache
def _kernels() -> Any:
    """Imported at the first use: stages that sample nothing need not wait for the compiler."""
    from mutdet.nn.level_sampling import cpu_kernels

    return cpu_kernels


def _spread(kernel: Callable[..., None], arguments: Sequence[Tensor | np.ndarray]) -> None:
    """Run a kernel over all (image, head) pairs on as many threads as PyTorch may use."""
    arrays = [argument.detach().numpy() if isinstance(argument, Tensor) else argument for argument in arguments]
    pairs, threads = arrays[0].shape[0] * arrays[0].shape[2], torch.get_num_threads()
    if threads == 1 or pairs == 1:
        kernel(*arrays, 0, pairs)
        return
    ends = [pairs * part // threads for part in range(threads + 1)]
    list(_pool(threads).map(lambda first, last: kernel(*arrays, first, last), ends[:-1], ends[1:]))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "sampling")
