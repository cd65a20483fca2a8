"""Terms that pull states of matched queries towards vectors of their objects."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from mutdet.detectors.types import Decoded, DetectionLosses
from mutdet.nn.ranks import share_of_count
from mutdet.pretraining.contrast import contrastive_alignment, contrastive_alignment_of_all_ranks

Distance = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Predictions [R, D], vectors of all objects [G, D] and each prediction's object [R] to a scalar; 0, with a gradient of 0, without a prediction."""


def absolute_distance(predictions: Tensor, objects: Tensor, target: Tensor) -> Tensor:
    """Mean over predictions and components of |z - o| (DETReg's embedding loss)."""
    return (predictions - objects[target]).abs().sum() / share_of_count(predictions.numel(), predictions.device)


def squared_distance(predictions: Tensor, objects: Tensor, target: Tensor) -> Tensor:
    """Mean over predictions of |z - o|^2, summed over components, so that it does not fade with the length of unit vectors."""
    return (predictions - objects[target]).square().sum() / share_of_count(len(predictions), predictions.device)


def squared_distance_of_directions(predictions: Tensor, objects: Tensor, target: Tensor) -> Tensor:
    """Mean over predictions of |z/|z| - o/|o||^2 = 2 - 2 cos. No gradient reaches the objects: without negatives all would fall together."""
    unit = functional.normalize(objects.detach().float(), dim=-1)
    return squared_distance(functional.normalize(predictions.float(), dim=-1), unit, target)


def contrast(temperature: float, *, gather: bool) -> Distance:
    """`contrastive_alignment` at a temperature, with the negatives of all processes or of this one alone."""
    return partial(contrastive_alignment_of_all_ranks if gather else contrastive_alignment, temperature=temperature)


def matched_states(decoded: Decoded, detection: DetectionLosses) -> dict[str, tuple[Tensor, Tensor]]:
    """States [R, C] of the last layer that have an object, and which [R]: "decoder", and "denoising" (positives) where there is any."""
    matches, states = detection.decoder[-1], decoded.matching.states[-1]
    found = {"decoder": (states[matches.image, matches.query], matches.target)}
    if decoded.denoising is not None and detection.denoising is not None:
        matches, states = detection.denoising, decoded.denoising.states[-1]
        found["denoising"] = (states[matches.image, matches.query], matches.target)
    return found


def gathered_embeddings(embeddings: list[Tensor | None]) -> list[Tensor]:
    """Embeddings of every image's objects.

    Raises:
        ValueError: an image has none.
    """
    given = [part for part in embeddings if part is not None]
    if len(given) != len(embeddings):
        raise ValueError("this method needs the embedding of every object")
    return given


def perceptron(width: int, hidden: int, outputs: int) -> torch.nn.Sequential:
    """Linear, ReLU, Linear."""
    return torch.nn.Sequential(torch.nn.Linear(width, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, outputs))
