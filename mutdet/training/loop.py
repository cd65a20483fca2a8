"""The training of a detector: knows no loss, method or detector by name."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mutdet.nn.ranks import mean_over_ranks, ranks
from mutdet.proposals.precision import arithmetic
from mutdet.settings.seeds import seed_for
from mutdet.settings.training import TrainingSettings
from mutdet.training.optimiser import learning_rate_factor, make_optimiser, set_learning_rate
from mutdet.training.resumable_loop import ResumableLoop
from mutdet.training.tile_dataset import Batch, TileDataset, collate


class LossFunction(Protocol):
    """Named, weighted losses of a batch, whose sum is minimised; all random numbers come from torch's own state or each tile's generator."""

    def __call__(self, batch: Batch, generators: Sequence[torch.Generator]) -> Mapping[str, Tensor]:
        """Scalars with a gradient."""


class Trainer(ResumableLoop[Batch]):
    """Trains a module on tiles with their objects, from the last checkpoint or from its present weights.

    Args:
        model: module whose parameters that need a gradient are trained, on its device.
        losses: losses of a batch.
        slow: names of parameters that train at a lower rate.
        dataset: tiles.
        settings: length, optimiser, schedule, state.
        stage: name for seeds and messages.
        after_step: called after each optimiser step with the share of the training that is done.
    """

    def __init__(
        self,
        model: nn.Module,
        losses: LossFunction,
        slow: Collection[str],
        dataset: TileDataset,
        settings: TrainingSettings,
        stage: str,
        after_step: Callable[[float], None] | None = None,
    ) -> None:
        model.to(memory_format=torch.channels_last)
        super().__init__(model, make_optimiser(model, slow, settings), dataset, collate, settings, stage)
        self._settings, self._after_step = settings, after_step
        self._losses = _together(_Losses(model, losses))
        self._average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(settings.average)) if settings.average else None

    def _finish(self) -> None:
        if self._average is not None:
            self._model.load_state_dict(self._average.module.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed training needs."""
        average = {} if self._average is None else {"average": self._average.state_dict()}
        return {**super().state_dict(), **average}

    def load_state_dict(self, content: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        super().load_state_dict(content)
        if self._average is not None:
            self._average.load_state_dict(content["average"])

    def _train_step(self, batch: Batch, seed: int) -> Mapping[str, float]:
        factor = learning_rate_factor(self._step, self._steps, self._settings)
        set_learning_rate(self._optimiser, factor)
        self._optimiser.zero_grad(set_to_none=True)
        losses = self._backward(batch.parts(self._settings.accumulate), seed)
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), self._settings.clip_norm)
        names = [*losses, "total", "gradient_norm"]
        total = torch.stack(list(losses.values())).sum()
        # One transfer from the device for all figures of the step.
        values = dict(zip(names, mean_over_ranks(torch.stack([*losses.values(), total, norm])).tolist(), strict=True))
        self._check_finite(values, "lower learning_rate or clip_norm")
        self._optimiser.step()
        if self._after_step is not None:
            self._after_step((self._step + 1) / self._steps)
        if self._average is not None:
            self._average.update_parameters(self._model)
        norm_value = values.pop("gradient_norm")
        return {**{f"loss/{name}": value for name, value in values.items()}, "gradient_norm": norm_value, "learning_rate_factor": factor}

    def _backward(self, parts: Sequence[Batch], seed: int) -> dict[str, Tensor]:
        """Gradients of the mean over parts, and that mean of every loss."""
        means: dict[str, Tensor] = defaultdict(lambda: torch.zeros((), device=self._device))
        for number, part in enumerate(parts):
            generators = [torch.Generator().manual_seed(seed_for(seed, tile_id)) for tile_id in part.tile_ids]
            last = number == len(parts) - 1
            with nullcontext() if last or not isinstance(self._losses, DistributedDataParallel) else self._losses.no_sync():
                with arithmetic(self._settings.precision, self._device):
                    losses = self._losses(part, generators)
                (torch.stack(list(losses.values())).sum() / len(parts)).backward()
            for name, value in losses.items():
                means[name] = means[name] + value.detach() / len(parts)
        return dict(means)


class _Losses(nn.Module):
    """Losses as a module, whose gradients processes can average."""

    def __init__(self, model: nn.Module, losses: LossFunction) -> None:
        super().__init__()
        self.model = model
        self._function = losses

    def forward(self, batch: Batch, generators: Sequence[torch.Generator]) -> dict[str, Tensor]:
        """Named losses."""
        return dict(self._function(batch, generators))


def _together(module: _Losses) -> nn.Module:
    """The module; where several processes train together, with gradients averaged over them."""
    if ranks() == 1:
        return module
    # Batch-norm statistics never change; which parameters a step uses depends on its objects.
    return DistributedDataParallel(module, broadcast_buffers=False, find_unused_parameters=True)
