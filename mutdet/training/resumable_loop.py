"""What every training loop does alike: order of tiles, checkpoints, resuming, log."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import nn

from mutdet.nn.ranks import largest_over_ranks, rank, ranks
from mutdet.settings.console import log, progress
from mutdet.settings.errors import UserError
from mutdet.settings.loop import LoopSettings
from mutdet.settings.seeds import seed_for
from mutdet.training.log_book import LogBook
from mutdet.training.reading import read_batches
from mutdet.training.sampling import BatchOrder, DrawnDataset
from mutdet.training.state import Checkpoints, locked
from mutdet.training.stopping import StoppedError, StopRequest, stop_request

_MARGIN_SECONDS = 60.0
"""Time for a checkpoint to be written."""
_READERS_FOR_A_CARD = 2
"""One gives 40 tiles of 1024 px a second (benchmarks/loader.py)."""


class Movable(Protocol):
    """A batch."""

    def to(self, device: torch.device) -> Self:
        """The batch on a device."""


BatchType = TypeVar("BatchType", bound=Movable)


class ResumableLoop(ABC, Generic[BatchType]):
    """Trains from the last checkpoint, or from the present weights where there is none.

    Random numbers are seeded anew in every step by (seed, stage, step), so that a resumed training goes on as an uninterrupted one. Where several
    processes train together, each takes its part of every batch, all hold the same weights, and the first one writes checkpoints.

    Args:
        model: module whose state a checkpoint holds, on its device.
        optimiser: of its parameters.
        dataset: tiles.
        collate: makes a batch of samples.
        settings: length, seed, threads, log, checkpoints.
        stage: name for seeds and messages.
    """

    def __init__(
        self,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        dataset: DrawnDataset[Any],
        collate: Callable[[Sequence[Any]], BatchType],
        settings: LoopSettings,
        stage: str,
    ) -> None:
        self._model, self._optimiser, self._dataset, self._collate = model, optimiser, dataset, collate
        self._loop_settings, self._stage = settings, stage
        self._steps = settings.total_steps(len(dataset))
        self._device = next(model.parameters()).device
        self._log = LogBook(settings.log_every)
        self._step = 0

    @abstractmethod
    def _train_step(self, batch: BatchType, seed: int) -> Mapping[str, float]:
        """Take one optimiser step; gives the values to log, `loss/total` among them.

        Args:
            batch: on the model's device.
            seed: of this step; torch's own generators have been seeded by it, and by the number of the process.
        """

    def run(self, state: Path, identity: str, workers: int | None = None) -> LogBook:
        """Train to the end; the model then holds the final weights.

        Args:
            state: folder that keeps a folder for each identity; that one is held for this process while it trains.
            identity: what decides the result, a hash; another training has another checkpoint.
            workers: processes that read tiles; 0 reads in this process; None chooses by the device. Changes no result.

        Raises:
            UserError: another process holds the folder, its checkpoint is unfit, or a loss or gradient is not finite.
            StoppedError: a signal asked for the end; the state is saved.
        """
        folder = state / identity[:16]
        patience = 60.0 * self._loop_settings.checkpoint_minutes + _MARGIN_SECONDS
        with locked(folder, patience) if rank() == 0 else nullcontext():
            checkpoints = Checkpoints(folder, identity)
            self._resume(checkpoints)
            torch.set_num_threads(self._loop_settings.threads)
            self._model.train()
            with stop_request() as request:
                self._train(checkpoints, workers, request)
            self._finish()
            self._model.eval()
        return self._log

    def _train(self, checkpoints: Checkpoints, workers: int | None, request: StopRequest) -> None:
        saved = time.monotonic()
        with closing(self._batches(workers)) as batches:
            for batch in progress(batches, self._stage, total=self._steps - self._step):
                self._step_and_note(batch.to(self._device))
                stopped = bool(largest_over_ranks(int(request.received), self._device))
                due = time.monotonic() - saved >= 60.0 * self._loop_settings.checkpoint_minutes
                if rank() == 0 and (stopped or due or self._step == self._steps):
                    checkpoints.save(self._step, self.state_dict())
                    saved = time.monotonic()
                if stopped and self._step < self._steps:
                    raise StoppedError(f"{self._stage} was stopped by a signal after step {self._step} of {self._steps}; run again to go on from there")

    def _finish(self) -> None:
        """Called after the last step, or when a finished training is found in its state."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed training needs."""
        return {"model": self._model.state_dict(), "optimiser": self._optimiser.state_dict(), "step": self._step, "log": self._log.state_dict()}

    def load_state_dict(self, content: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._model.load_state_dict(content["model"])
        self._optimiser.load_state_dict(content["optimiser"])
        self._log.load_state_dict(content["log"])
        self._step = content["step"]

    def _batches(self, workers: int | None) -> Generator[BatchType, None, None]:
        settings = self._loop_settings
        order = BatchOrder(len(self._dataset), settings.batch, self._steps, settings.seed, self._stage, self._step, (rank(), ranks()))
        count = workers if workers is not None else _READERS_FOR_A_CARD if self._device.type == "cuda" else 0
        return read_batches(self._dataset, order, self._collate, count)

    def _step_and_note(self, batch: BatchType) -> None:
        seed = seed_for(self._loop_settings.seed, self._stage, "step", self._step)
        torch.manual_seed(seed + rank())
        values = self._train_step(batch, seed)
        self._step += 1
        epoch = self._step * self._loop_settings.batch / len(self._dataset)
        means = self._log.add(self._step, epoch, values, last=self._step == self._steps)
        if means and rank() == 0:
            log.info("%s: step %d of %d, loss %.4f", self._stage, self._step, self._steps, means["loss/total"])

    def _check_finite(self, values: Mapping[str, float], remedy: str) -> None:
        if all(map(math.isfinite, values.values())):
            return
        parts = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        raise UserError(f"loss is not finite in step {self._step}: {parts}", record=self._stage, remedy=remedy)

    def _resume(self, checkpoints: Checkpoints) -> None:
        content = checkpoints.load()
        if content is None:
            return
        self.load_state_dict(content)
        log.info("%s: goes on at step %d of %d", self._stage, self._step, self._steps)
