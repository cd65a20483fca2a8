"""AdamW with slow parameter groups, and the learning rate of every step."""

from collections.abc import Collection

import torch
from torch import nn

from mutdet.settings.training import TrainingSettings


def make_optimiser(model: nn.Module, slow: Collection[str], settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW over the parameters that need a gradient, those named `slow` in a group of their own (docs/method.md B).

    A group's `initial_lr` is its learning rate after warm-up; `set_learning_rate` derives that of a step from it.
    """
    names: dict[bool, list[nn.Parameter]] = {False: [], True: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            names[name in slow].append(parameter)
    rates = {False: settings.learning_rate, True: settings.learning_rate * settings.slow_factor}
    groups = [{"params": parameters, "lr": rates[key], "initial_lr": rates[key]} for key, parameters in names.items() if parameters]
    fused = next(model.parameters()).device.type in ("cpu", "cuda")
    return torch.optim.AdamW(groups, betas=(0.9, 0.999), weight_decay=settings.weight_decay, fused=fused)


def learning_rate_factor(step: int, steps: int, settings: TrainingSettings) -> float:
    """Factor on the learning rate in a step (from 0) of a training of `steps` steps: linear warm-up, then drops."""
    warmup = settings.warmup_steps(steps)
    if step < warmup:
        return settings.warmup_factor + (1.0 - settings.warmup_factor) * step / warmup
    return settings.drop_factor ** sum(step >= round(share * steps) for share in settings.drops)


def set_learning_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set the learning rate of every group to its own times a factor."""
    for group in optimiser.param_groups:
        group["lr"] = group["initial_lr"] * factor
