"""The loop of every training: knows no loss, method or detector by name."""

import math
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mutdet.settings.console import log, progress
from mutdet.settings.errors import UserError
from mutdet.settings.seeds import seed_for
from mutdet.settings.training import TrainingSettings
from mutdet.training.log_book import LogBook
from mutdet.training.optimiser import learning_rate_factor, make_optimiser, set_learning_rate
from mutdet.training.sampling import BatchOrder
from mutdet.training.state import CheckpointFile, locked
from mutdet.training.tile_dataset import Batch, TileDataset, collate


class LossFunction(Protocol):
    """Named, weighted losses of a batch, whose sum is minimised; all random numbers come from torch's own state or the generator."""

    def __call__(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Scalars with a gradient."""


class Trainer:
    """Trains a module on tiles from the last checkpoint, or from its present weights where there is none.

    Random numbers are seeded anew in every step by (seed, stage, step), so that a resumed training goes on as an uninterrupted one.

    Args:
        model: module whose parameters that need a gradient are trained, on its device.
        losses: losses of a batch.
        slow: names of parameters that train at a lower rate.
        dataset: tiles.
        settings: length, optimiser, schedule, state.
        stage: name for seeds and messages.
    """

    def __init__(self, model: nn.Module, losses: LossFunction, slow: Collection[str], dataset: TileDataset, settings: TrainingSettings, stage: str) -> None:
        self._model, self._losses, self._dataset = model, losses, dataset
        self._settings, self._stage = settings, stage
        self._steps = settings.total_steps(len(dataset))
        self._optimiser = make_optimiser(model, slow, settings)
        self._device = next(model.parameters()).device
        self._log = LogBook(settings.log_every)
        self._step = 0

    def run(self, state: Path, identity: str, workers: int = 0) -> LogBook:
        """Train to the end; the model then holds the final weights.

        Args:
            state: folder that keeps a folder for each identity; that one is held for this process while it trains.
            identity: what decides the result, a hash; another training has another checkpoint.
            workers: processes that read tiles; 0 reads in this process. Changes no result.

        Raises:
            UserError: another process holds the folder, its checkpoint is unfit, or a loss or gradient is not finite.
        """
        folder = state / identity[:16]
        with locked(folder):
            checkpoint = CheckpointFile(folder, identity)
            self._resume(checkpoint)
            torch.set_num_threads(self._settings.threads)
            self._model.train()
            saved = time.monotonic()
            for batch in progress(self._batches(workers), self._stage, total=self._steps - self._step):
                self._train_step(batch.to(self._device))
                if time.monotonic() - saved >= 60.0 * self._settings.checkpoint_minutes or self._step == self._steps:
                    self._save(checkpoint)
                    saved = time.monotonic()
            self._model.eval()
        return self._log

    def _batches(self, workers: int) -> Iterator[Batch]:
        order = BatchOrder(len(self._dataset), self._settings.batch, self._steps, self._settings.seed, self._stage, self._step)
        yield from DataLoader(self._dataset, batch_sampler=order, collate_fn=collate, num_workers=workers)

    def _train_step(self, batch: Batch) -> None:
        seed = seed_for(self._settings.seed, self._stage, "step", self._step)
        torch.manual_seed(seed)
        factor = learning_rate_factor(self._step, self._steps, self._settings)
        set_learning_rate(self._optimiser, factor)
        losses = self._losses(batch, torch.Generator().manual_seed(seed))
        total = torch.stack(list(losses.values())).sum()
        values = dict(zip([*losses, "total"], torch.stack([*losses.values(), total]).tolist(), strict=True))
        self._check_finite(values)
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()
        norm = float(nn.utils.clip_grad_norm_(self._model.parameters(), self._settings.clip_norm))
        self._check_finite({**values, "gradient_norm": norm})
        self._optimiser.step()
        self._step += 1
        self._note({**{f"loss/{name}": value for name, value in values.items()}, "gradient_norm": norm, "learning_rate_factor": factor})

    def _note(self, values: Mapping[str, float]) -> None:
        epoch = self._step * self._settings.batch / len(self._dataset)
        means = self._log.add(self._step, epoch, values, last=self._step == self._steps)
        if means:
            log.info("%s: step %d of %d, loss %.4f", self._stage, self._step, self._steps, means["loss/total"])

    def _check_finite(self, values: Mapping[str, float]) -> None:
        if all(map(math.isfinite, values.values())):
            return
        parts = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        raise UserError(f"loss is not finite in step {self._step}: {parts}", record=self._stage, remedy="lower learning_rate or clip_norm")

    def _save(self, checkpoint: CheckpointFile) -> None:
        content = {"model": self._model.state_dict(), "optimiser": self._optimiser.state_dict(), "step": self._step, "log": self._log.state_dict()}
        checkpoint.save(content)

    def _resume(self, checkpoint: CheckpointFile) -> None:
        content = checkpoint.load()
        if content is None:
            return
        self._model.load_state_dict(content["model"])
        self._optimiser.load_state_dict(content["optimiser"])
        self._log.load_state_dict(content["log"])
        self._step = content["step"]
        log.info("%s: goes on at step %d of %d", self._stage, self._step, self._steps)
