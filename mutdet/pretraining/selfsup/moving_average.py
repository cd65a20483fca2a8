"""A second network that follows the first one as an exponential moving average."""

import copy
import math

from lightly.models.utils import update_momentum
from torch import nn


def follower(network: nn.Module) -> nn.Module:
    """Copy of a network that takes no gradient; in training mode it normalises by its own batch, as BYOL's target does."""
    return copy.deepcopy(network).requires_grad_(False)


def follow(network: nn.Module, average: nn.Module, keep: float) -> None:
    """Move every parameter of `average` to keep * average + (1 - keep) * network; buffers are its own.

    Args:
        network: trained network.
        average: its follower.
        keep: in [0, 1].
    """
    update_momentum(network, average, keep)


def keep_at(progress: float, start: float, end: float) -> float:
    """Share that the average keeps: from `start` to `end` along half a cosine (BYOL: 1 - (1 - start) (cos(pi k / K) + 1) / 2 for end 1)."""
    return end - (end - start) * (math.cos(math.pi * progress) + 1.0) / 2.0
