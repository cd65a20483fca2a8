"""Training of a backbone on unlabelled tiles; knows no method by name."""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mutdet.embedding.backbones import Backbone, build_backbone
from mutdet.embedding.devices import prepare_device
from mutdet.embedding.label_probe import LabelProbe
from mutdet.pretraining.selfsup.collapse import feature_deviation
from mutdet.pretraining.selfsup.interface import SelfSupervisedMethod
from mutdet.pretraining.selfsup.optimisers import make_optimiser, set_factor
from mutdet.pretraining.selfsup.schedule import cosine_factor
from mutdet.proposals.precision import arithmetic
from mutdet.settings.backbone import BackboneFiles
from mutdet.settings.backbones.self_supervised import SelfSupervisedSettings
from mutdet.settings.base import Runtime
from mutdet.settings.errors import UserError
from mutdet.settings.seeds import seed_for
from mutdet.training.identity import pixel_digests
from mutdet.training.resumable_loop import ResumableLoop
from mutdet.training.tile_index import TileIndex
from mutdet.training.view_dataset import ViewBatch, ViewDataset, collate_views

_STAGE = "backbone"


class SelfSupervisedTrainer(ResumableLoop[ViewBatch]):
    """Trains a method's networks on views of tiles.

    Args:
        method: networks and losses, on its device.
        dataset: views.
        settings: length, optimiser, schedule, precision, state.
        probe: figure that is taken every `probe_every` steps and after the last; none takes none.
    """

    def __init__(self, method: SelfSupervisedMethod, dataset: ViewDataset, settings: SelfSupervisedSettings, probe: Callable[[], float] | None = None) -> None:
        super().__init__(method, make_optimiser(method, method.constant_rate, settings), dataset, collate_views, settings, _STAGE)
        self._method, self._settings, self._probe = method, settings, probe
        self._warmup = settings.warmup_steps(len(dataset))
        self._scaler = torch.amp.GradScaler(self._device.type, enabled=settings.precision == "float16")

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed training needs."""
        return {**super().state_dict(), "scaler": self._scaler.state_dict()}

    def load_state_dict(self, content: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        super().load_state_dict(content)
        self._scaler.load_state_dict(content["scaler"])

    def _train_step(self, batch: ViewBatch, seed: int) -> Mapping[str, float]:
        factor = cosine_factor(self._step, self._steps, self._warmup)
        set_factor(self._optimiser, factor)
        self._optimiser.zero_grad(set_to_none=True)
        parts = [self._pass(part) for part in batch.parts(self._settings.accumulate)]
        values = {name: sum(part[name] for part in parts) / len(parts) for name in parts[0]}
        self._check_finite(values, "lower learning_rate")
        self._scaler.step(self._optimiser)
        self._scaler.update()
        done = (self._step + 1) / self._steps
        self._method.after_step(done)
        rate = self._settings.scaled_learning_rate() * factor
        return {**values, "learning_rate": rate, **self._probed()}

    def _pass(self, part: ViewBatch) -> dict[str, float]:
        """Add the gradient of a part of the batch; its losses and figures."""
        images = [view.contiguous(memory_format=torch.channels_last) for view in part.images(self._settings.blur_kernel)]
        with arithmetic(self._settings.precision, self._device):
            comparison = self._method.compare(images)
        total = torch.stack(list(comparison.losses.values())).sum()
        self._scaler.scale(total / self._settings.accumulate).backward()
        losses: dict[str, Tensor] = {**comparison.losses, "total": total}
        values = dict(zip(losses, torch.stack(list(losses.values())).tolist(), strict=True))
        return {**{f"loss/{name}": value for name, value in values.items()}, "feature_deviation": feature_deviation(comparison.features)}

    def _probed(self) -> dict[str, float]:
        done = self._step + 1
        if self._probe is None or (done % self._settings.probe_every and done != self._steps):
            return {}
        figure = self._probe()
        self._method.train()
        return {"neighbour_accuracy": figure}


def train_backbone(method_class: type[SelfSupervisedMethod], settings: SelfSupervisedSettings, files: BackboneFiles, runtime: Runtime) -> Backbone:
    """Train a backbone by a method and write the log table; the initial weights are those of method `random` with the same seed.

    Raises:
        UserError: no place for log or state is given, no tile, an unfit checkpoint, a precision that the device lacks, or a loss that is not finite.
    """
    if files.log is None or files.state is None:
        raise UserError(f"method {settings.method} trains and needs places for its log and state", remedy="give --log and --state")
    device = prepare_device(runtime)
    if settings.precision == "float16" and device.type != "cuda":
        raise UserError("precision float16 needs CUDA", remedy="set precision to bfloat16 or float32")
    index = TileIndex.read(files.tiles)
    method = _build(method_class, settings).to(device).to(memory_format=torch.channels_last)
    probe = partial(LabelProbe(files.probe, settings, device).accuracy, method.backbone) if settings.probe_dataset is not None else None
    trainer = SelfSupervisedTrainer(method, ViewDataset(index, settings, _STAGE), settings, probe)
    book = trainer.run(files.state, _identity(settings, files.tiles), runtime.workers)
    if not all(torch.isfinite(tensor).all() for tensor in method.backbone.state_dict().values()):
        raise UserError("weights are not finite after the last step", record=_STAGE, remedy="lower learning_rate")
    book.write(files.log)
    backbone: Backbone = method.backbone.cpu()
    return backbone


def _build(method_class: type[SelfSupervisedMethod], settings: SelfSupervisedSettings) -> SelfSupervisedMethod:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(settings.seed, "backbone", settings.architecture))
        return method_class(build_backbone(settings.architecture), settings)


def _identity(settings: SelfSupervisedSettings, tiles: list[Path]) -> str:
    """Hash over settings and pixels, the same however tiles are cut into shards; labels and how often state is saved do not count."""
    text = settings.model_dump_json(exclude={"checkpoint_minutes", "datasets"})
    return hashlib.sha256("\n".join([text, *pixel_digests(tiles)]).encode()).hexdigest()
