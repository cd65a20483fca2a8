"""The training of a detector: knows no loss, method or detector by name."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from mutdet.settings.training import TrainingSettings
from mutdet.training.optimiser import learning_rate_factor, make_optimiser, set_learning_rate
from mutdet.training.resumable_loop import ResumableLoop
from mutdet.training.tile_dataset import Batch, TileDataset, collate


class LossFunction(Protocol):
    """Named, weighted losses of a batch, whose sum is minimised; all random numbers come from torch's own state or the generator."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
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
        self._losses, self._settings, self._after_step = losses, settings, after_step

    def _train_step(self, batch: Batch, seed: int) -> Mapping[str, float]:
        factor = learning_rate_factor(self._step, self._steps, self._settings)
        set_learning_rate(self._optimiser, factor)
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._settings.precision == "bfloat16"):
            losses = self._losses(batch, torch.Generator().manual_seed(seed))
        total = torch.stack(list(losses.values())).sum()
        values = dict(zip([*losses, "total"], torch.stack([*losses.values(), total]).tolist(), strict=True))
        remedy = "lower learning_rate or clip_norm"
        self._check_finite(values, remedy)
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()
        norm = float(nn.utils.clip_grad_norm_(self._model.parameters(), self._settings.clip_norm))
        self._check_finite({**values, "gradient_norm": norm}, remedy)
        self._optimiser.step()
        if self._after_step is not None:
            self._after_step((self._step + 1) / self._steps)
        return {**{f"loss/{name}": value for name, value in values.items()}, "gradient_norm": norm, "learning_rate_factor": factor}
