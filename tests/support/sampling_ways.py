"""What tests of the forms of `sample_levels` share."""

import torch
from torch import Tensor

from mutdet.nn.level_sampling.choice import Sampling
from mutdet.nn.level_sampling.function import Shapes


def outputs_and_gradients(way: Sampling, inputs: tuple[Tensor, ...], shapes: Shapes, upstream: Tensor) -> list[Tensor]:
    """Result and the gradients of values, locations and weights; `upstream` is the result's in any type and place."""
    values, locations, weights = (x.detach().requires_grad_() for x in inputs)
    result = way(values, shapes, locations, weights)
    return [result.detach(), *torch.autograd.grad(result, (values, locations, weights), upstream.to(result))]
