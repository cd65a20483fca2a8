"""Command `train_small_sam`: makes the weights of the small SAM that lie in the package."""

import hashlib
import math
import time
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.utils.data import DataLoader

from mutdet.proposals.precision import arithmetic
from mutdet.proposals.small_sam import build_small_sam
from mutdet.proposals.small_sam_loss import SmallSamLoss
from mutdet.proposals.training_scenes import Sample, TrainingScenes
from mutdet.settings.base import Runtime
from mutdet.settings.console import log, progress
from mutdet.settings.errors import UserError
from mutdet.settings.seeds import seed_for
from mutdet.settings.train_small_sam import TrainSmallSamFiles, TrainSmallSamSettings
from mutdet.tables.weights import write_weights
from mutdet.tables.write import write_provenance
from mutdet.training.log_book import LogBook
from mutdet.training.state import Checkpoints, locked

_STAGE = "train_small_sam"


def run(files: TrainSmallSamFiles, settings: TrainSmallSamSettings, runtime: Runtime) -> None:
    """Train on the CPU (sums on one thread are repeatable), scenes being drawn by the workers; resumes from its state."""
    torch.set_num_threads(settings.threads)
    identity = hashlib.sha256(settings.model_dump_json(exclude={"checkpoint_minutes"}).encode()).hexdigest()
    with locked(files.state):
        training = _Training(files, settings, Checkpoints(files.state, identity))
        training.to_the_end(runtime.workers or 0)
    write_provenance(files.output, settings=settings.model_dump(mode="json"))


class _Training:
    """Weights, optimiser and log at some step of the training."""

    def __init__(self, files: TrainSmallSamFiles, settings: TrainSmallSamSettings, checkpoints: Checkpoints) -> None:
        self._files, self._settings, self._checkpoints = files, settings, checkpoints
        self._model = _fresh_model(settings)
        self._optimiser = torch.optim.AdamW(self._model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
        self._log = LogBook(settings.log_every)
        self._step = 0
        content = checkpoints.load()
        if content is not None:
            self._model.load_state_dict(content["model"])
            self._optimiser.load_state_dict(content["optimiser"])
            self._log.load_state_dict(content["log"])
            self._step = content["step"]
            log.info("goes on at step %d of %d", self._step, settings.total_steps)

    def to_the_end(self, workers: int) -> None:
        """Train what is left, then write weights and log."""
        settings = self._settings
        steps = [list(settings.samples(step)) for step in range(self._step, settings.total_steps)]
        batches = DataLoader(TrainingScenes(settings), batch_sampler=steps, collate_fn=list, num_workers=workers)
        saved = time.monotonic()
        for batch in progress(batches, _STAGE, total=len(steps)):
            self._train_step(batch)
            if time.monotonic() - saved >= 60 * settings.checkpoint_minutes:
                self._save()
                saved = time.monotonic()
        self._save()
        self._log.write(self._files.log)

    def _train_step(self, samples: Sequence[Sample]) -> None:
        rate = self._settings.learning_rate * _rate_factor(self._step, self._settings)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        losses = self._model.of_encoder if self._step < self._settings.encoder_steps else self._model.of_prompts
        with arithmetic(self._settings.precision, torch.device("cpu")):
            parts = losses(samples)
        total = torch.stack(list(parts.values())).sum()
        if not math.isfinite(total.item()):
            raise UserError(f"loss is not finite in step {self._step}", remedy="lower learning_rate")
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self._model.parameters(), self._settings.clip_norm)
        self._optimiser.step()
        self._step += 1
        self._note({f"loss/{name}": value.item() for name, value in {**parts, "total": total.detach()}.items()})

    def _note(self, values: Mapping[str, float]) -> None:
        last = self._settings.total_steps
        means = self._log.add(self._step, self._step / last, values, last=self._step == last)
        if means:
            log.info("step %d of %d: %s", self._step, last, ", ".join(f"{name} {value:.4f}" for name, value in means.items()))

    def _save(self) -> None:
        content = {"model": self._model.state_dict(), "optimiser": self._optimiser.state_dict(), "log": self._log.state_dict(), "step": self._step}
        self._checkpoints.save(self._step, content)
        halves = {name: tensor.half().numpy() for name, tensor in self._model.sam.state_dict().items()}
        write_weights(self._files.output, halves, {"model": "small", "steps": str(self._step), "seed": str(self._settings.seed)})


def _fresh_model(settings: TrainSmallSamSettings) -> SmallSamLoss:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(settings.seed, _STAGE, "weights"))
        return SmallSamLoss(build_small_sam(), settings).train()


def _rate_factor(step: int, settings: TrainSmallSamSettings) -> float:
    """Linear warm-up at the beginning of each part; in the second, half a cosine to 0 follows."""
    if step < settings.encoder_steps:
        return min(1.0, (step + 1) / max(settings.warmup_steps, 1))
    step -= settings.encoder_steps
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    return 0.5 * (1 + math.cos(math.pi * (step - settings.warmup_steps) / (settings.steps - settings.warmup_steps)))
