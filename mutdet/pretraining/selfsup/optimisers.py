"""Optimisers of self-supervised trainings."""

from collections.abc import Sequence
from typing import Any

import torch
from lightly.utils.lars import LARS
from torch import nn

from mutdet.settings.backbones.self_supervised import SelfSupervisedSettings


def make_optimiser(model: nn.Module, constant_rate: Sequence[str], settings: SelfSupervisedSettings) -> torch.optim.Optimizer:
    """LARS, SGD or AdamW over the parameters that need a gradient.

    Groups tell apart what decays and what does not, and what follows the schedule (`scheduled`) and what keeps its learning rate
    (`initial_lr`). LARS scales the steps of what decays alone, as BYOL does.

    Args:
        model: with the backbone and its heads.
        constant_rate: prefixes of names of parameters whose learning rate stays.
        settings: which optimiser, its numbers.
    """
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = settings.decayed == "all" or parameter.ndim > 1
            groups.setdefault((decays, not name.startswith(tuple(constant_rate))), []).append(parameter)
    rate = settings.scaled_learning_rate()
    listed: list[dict[str, Any]] = [
        {"params": parameters, "lr": rate, "initial_lr": rate, "scheduled": scheduled, "weight_decay": settings.weight_decay if decays else 0.0}
        for (decays, scheduled), parameters in groups.items()
    ]
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(listed, lr=rate)
    if settings.optimiser == "lars":
        return LARS(listed, lr=rate, momentum=settings.momentum, trust_coefficient=settings.trust_coefficient)
    return torch.optim.SGD(listed, lr=rate, momentum=settings.momentum)


def set_factor(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set the learning rate of every group that follows the schedule to its own times a factor."""
    for group in optimiser.param_groups:
        if group["scheduled"]:
            group["lr"] = group["initial_lr"] * factor
