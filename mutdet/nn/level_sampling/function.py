"""The step of automatic differentiation that the compiled forms of sampling share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Shapes = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class CompiledForm:
    """One way to compute the samples and their gradients; all tensors are contiguous.

    Attributes:
        sample: from values [B, K, heads, channels], shapes of the levels, locations [B, Q, heads, L, points, 2] and weights
            [B, Q, heads, L, points] to [B, Q, heads, channels].
        gradients: from the same and the gradient of the result to the gradients of values, locations and weights.
    """

    sample: Callable[[Tensor, Shapes, Tensor, Tensor], Tensor]
    gradients: Callable[[Tensor, Shapes, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


def sample_by(form: CompiledForm, values: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Sample with first derivatives; arguments and result as for `mutdet.nn.level_sampling.choice.sample_levels`.

    Raises:
        ValueError: values or locations do not have these levels.
    """
    if [locations.shape[3], values.shape[1]] != [len(shapes), sum(rows * columns for rows, columns in shapes)]:
        raise ValueError(f"levels of {list(shapes)} do not fit {values.shape[1]} values and locations in {locations.shape[3]} levels")
    result: Tensor = _Sampling.apply(form, values.contiguous(), shapes, locations.contiguous(), weights.contiguous())
    return result.flatten(2)


class _Sampling(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, form: CompiledForm, values: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(values, locations, weights)
        ctx.form, ctx.shapes = form, shapes
        return form.sample(values, shapes, locations, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None, Tensor, Tensor]:
        values, locations, weights = ctx.saved_tensors
        of_values, of_locations, of_weights = ctx.form.gradients(values, ctx.shapes, locations, weights, gradient.contiguous())
        return None, of_values, None, of_locations, of_weights
