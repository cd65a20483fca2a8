"""Sampling in Triton: nothing of the size of samples times channels is written, and the same call gives the same bits twice.

The gradient of the values scatters four corners per sample; summed by atomic additions it would depend on the order in which programs happen to run.
Here one program owns each value and fetches what belongs to it in the order of the queries: samples are sorted by the square between cells in which
they lie, and those that reach a value lie in the four squares around it. So one sort of a number per sample serves four corners and all channels: at
21,760 queries, 2 images, 8 heads, 4 levels and 4 points 5.6 million numbers, instead of 22 million additions of 32 channels. By count the
sort takes some 40 bytes per sample while it runs, 220 MB at that size; the samples themselves would take 128 bytes each, several times over.
"""

import importlib.util
import warnings
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor

from mutdet.nn.level_sampling.function import CompiledForm, Shapes, sample_by

_ELEMENTS = 512
"""Samples times channels that a program, one warp, has in work: 16 per thread, so that four corners of each fit into registers."""


def sample_levels_on_cuda(values: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """See `mutdet.nn.level_sampling.choice.sample_levels`; all tensors on one card.

    Values of any floating type are read as they are; locations and weights share the result's type, float32 or float64.
    """
    return sample_by(_FORM, values, shapes, locations, weights)


@cache
def triton_runs() -> bool:
    """Whether Triton is installed and finds a card and the C compiler that it starts kernels with; warns where only the latter is missing."""
    if importlib.util.find_spec("triton") is None:
        return False
    try:
        from triton.runtime import driver

        driver.active.get_current_target()
    except Exception as error:
        warnings.warn(f"Triton does not run here ({error}): attention samples in plain PyTorch, slower and not repeatable to the bit", stacklevel=2)
        return False
    return True


def _sample(values: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    levels, _ = _levels(tuple(shapes), values.device)
    result = locations.new_empty(*locations.shape[:3], values.shape[3])
    counts, constants = (values.shape[1], locations.shape[1]), _constants(values, locations)
    _launch(_kernels().sample, locations.shape[:3].numel(), values, levels, locations, weights, result, *counts, **constants)
    return result


def _gradients(values: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    levels, squares_per_pair = _levels(tuple(shapes), values.device)
    (batch, tokens, heads, channels), queries = values.shape, locations.shape[1]
    square_count = batch * heads * squares_per_pair
    squares = torch.empty_like(weights, dtype=torch.int32 if square_count < 2**31 else torch.int64)
    of_values, of_locations, of_weights = torch.empty_like(values), torch.empty_like(locations), torch.empty_like(weights)
    constants = _constants(values, locations)
    written, counts = (of_locations, of_weights, squares), (tokens, queries, squares_per_pair)
    _launch(_kernels().gradients_of_places, batch * queries * heads, values, levels, locations, weights, gradient, *written, *counts, **constants)
    in_order, order = squares.flatten().sort(stable=True)
    starts = torch.searchsorted(in_order, torch.arange(square_count + 1, dtype=squares.dtype, device=squares.device))
    del squares, in_order
    del constants["points"]
    constants |= {"block": _block(channels), "level_count": len(shapes), "level_block": _power_of_two(len(shapes))}
    read = (levels, locations, weights, gradient, order, starts)
    _launch(_kernels().gradient_of_values, batch * tokens * heads, *read, of_values, tokens, squares_per_pair, **constants)
    return of_values, of_locations, of_weights


_FORM = CompiledForm(_sample, _gradients)


@lru_cache(maxsize=64)
def _levels(shapes: tuple[tuple[int, int], ...], device: torch.device) -> tuple[Tensor, int]:
    """[L, 4] first token, rows, columns, first square; number of squares."""
    rows, token, square = [], 0, 0
    for height, width in shapes:
        rows.append((token, height, width, square))
        token, square = token + height * width, square + (height + 1) * (width + 1)
    return torch.tensor(rows, dtype=torch.int32, device=device), square


def _constants(values: Tensor, locations: Tensor) -> dict[str, int]:
    """What kernels are compiled for."""
    (heads, channels), (levels, points) = values.shape[2:], locations.shape[3:5]
    samples, width = levels * points, _power_of_two(channels)
    block = min(_power_of_two(samples), _block(channels))
    return {"heads": heads, "channels": channels, "points": points, "samples": samples, "width": width, "block": block}


def _block(channels: int) -> int:
    return max(1, _ELEMENTS // _power_of_two(channels))


def _power_of_two(number: int) -> int:
    return 1 << (number - 1).bit_length()


def _launch(kernel: Any, programs: int, *arguments: Tensor | int, **constants: int) -> None:
    if programs:
        with torch.cuda.device_of(arguments[0]):
            # Products and sums fuse, as in all compilers' default for this card: Triton asks to say so.
            kernel[(programs,)](*arguments, **constants, num_warps=1, enable_fp_fusion=True)


@cache
def _kernels() -> Any:
    """Imported at the first use: machines without a card need no Triton."""
    from mutdet.nn.level_sampling import cuda_kernels

    return cuda_kernels
