"""Command `train_small_sam`: makes the weights of the small SAM that lie in the package."""

import hashlib
import math
import time
from collections.abc import Sequence

import torch
from segment_anything.modeling import Sam
from torch import nn
from torch.utils.data import DataLoader

from mutdet.proposals.small_sam import build_small_sam
from mutdet.proposals.small_sam_loss import losses
from mutdet.proposals.training_scenes import Sample, TrainingScenes
from mutdet.settings.base import Runtime
from mutdet.settings.console import log, progress
from mutdet.settings.errors import UserError
from mutdet.settings.seeds import seed_for
from mutdet.settings.train_small_sam import TrainSmallSamFiles, TrainSmallSamSettings
from mutdet.tables.weights import write_weights
from mutdet.tables.write import write_provenance
from mutdet.training.log_book import LogBook
from mutdet.training.state import CheckpointFile, locked

_STAGE = "train_small_sam"


def run(files: TrainSmallSamFiles, settings: TrainSmallSamSettings, runtime: Runtime) -> None:
    """Train on the CPU (sums on one thread are repeatable), scenes being drawn by the workers; resumes from its state."""
    torch.set_num_threads(settings.threads)
    identity = hashlib.sha256(settings.model_dump_json(exclude={"checkpoint_minutes"}).encode()).hexdigest()
    with locked(files.state):
        training = _Training(files, settings, CheckpointFile(files.state, identity))
        training.to_the_end(runtime.workers)
    write_provenance(files.output, settings=settings.model_dump(mode="json"))


class _Training:
    """Weights, optimiser and log at some step of the training."""

    def __init__(self, files: TrainSmallSamFiles, settings: TrainSmallSamSettings, checkpoint: CheckpointFile) -> None:
        self._files, self._settings, self._checkpoint = files, settings, checkpoint
        self._sam = _fresh_sam(settings)
        self._optimiser = torch.optim.AdamW(self._sam.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
        self._log = LogBook(settings.log_every)
        self._step = 0
        content = checkpoint.load()
        if content is not None:
            self._sam.load_state_dict(content["model"])
            self._optimiser.load_state_dict(content["optimiser"])
            self._log.load_state_dict(content["log"])
            self._step = content["step"]
            log.info("goes on at step %d of %d", self._step, settings.steps)

    def to_the_end(self, workers: int) -> None:
        """Train what is left, then write weights and log."""
        settings = self._settings
        scenes = TrainingScenes(settings, self._step * settings.images)
        batches: DataLoader[Sample] = DataLoader(scenes, batch_size=settings.images, collate_fn=list, num_workers=workers)  # type: ignore[arg-type]
        saved = time.monotonic()
        for batch in progress(batches, _STAGE, total=settings.steps - self._step):
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
        with torch.autocast("cpu", torch.bfloat16, enabled=self._settings.precision == "bfloat16"):
            parts = losses(self._sam, samples, self._settings)
        total = torch.stack(list(parts.values())).sum()
        if not math.isfinite(total.item()):
            raise UserError(f"loss is not finite in step {self._step}", remedy="lower learning_rate")
        self._optimiser.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self._sam.parameters(), self._settings.clip_norm)
        self._optimiser.step()
        self._step += 1
        values = {f"loss/{name}": value.item() for name, value in {**parts, "total": total.detach()}.items()}
        epoch = self._step / self._settings.steps
        means = self._log.add(self._step, epoch, values, last=self._step == self._settings.steps)
        if means:
            log.info("step %d of %d: %s", self._step, self._settings.steps, ", ".join(f"{name} {value:.4f}" for name, value in means.items()))

    def _save(self) -> None:
        self._checkpoint.save({"model": self._sam.state_dict(), "optimiser": self._optimiser.state_dict(), "log": self._log.state_dict(), "step": self._step})
        halves = {name: tensor.half().numpy() for name, tensor in self._sam.state_dict().items()}
        write_weights(self._files.output, halves, {"model": "small", "steps": str(self._step), "seed": str(self._settings.seed)})


def _fresh_sam(settings: TrainSmallSamSettings) -> Sam:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(settings.seed, _STAGE, "weights"))
        return build_small_sam().train()


def _rate_factor(step: int, settings: TrainSmallSamSettings) -> float:
    """Linear warm-up, then half a cosine to 0."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    return 0.5 * (1 + math.cos(math.pi * (step - settings.warmup_steps) / (settings.steps - settings.warmup_steps)))
