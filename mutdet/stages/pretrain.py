"""Stage `pretrain`: a detector trained on pseudo labels, its backbone frozen. No label is read here."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from mutdet.detectors.weights import save_detector
from mutdet.embedding.backbones import load_backbone as read_backbone
from mutdet.nn.backbones import load_backbone
from mutdet.nn.ranks import rank
from mutdet.pretraining.interface import PretrainingMethod
from mutdet.proposals.precision import computed_precision
from mutdet.settings.base import Runtime
from mutdet.settings.pretrain import PretrainFiles, PretrainSettings, PseudoLabelPretrainSettings, TrainedPretrainSettings
from mutdet.settings.registries import DETECTORS, PRETRAINING_METHODS, load
from mutdet.settings.seeds import seed_for
from mutdet.tables.weights import read_metadata
from mutdet.tables.write import write_provenance
from mutdet.training.identity import training_identity
from mutdet.training.log_book import LogBook
from mutdet.training.loop import Trainer
from mutdet.training.objects import PackedObjects, no_objects, used_tiles
from mutdet.training.processes import training_device
from mutdet.training.pseudo_objects import read_pseudo_objects
from mutdet.training.tile_dataset import Batch, TileDataset
from mutdet.training.tile_index import TileIndex


def run(files: PretrainFiles, settings: PretrainSettings, runtime: Runtime) -> None:
    """Build the detector with the backbone's weights, let the method train it, and write it."""
    method_class: type[PretrainingMethod] = load(PRETRAINING_METHODS, settings.method)
    if isinstance(settings, TrainedPretrainSettings):
        with training_device(runtime, settings.processes) as device:
            _run_training(files, settings, runtime, method_class, device)
    else:
        categories = method_class.categories(1)
        _write(files, settings, _build(files, settings, method_class, categories), categories, LogBook(1))


def _run_training(
    files: PretrainFiles, settings: TrainedPretrainSettings, runtime: Runtime, method_class: type[PretrainingMethod], device: torch.device
) -> None:
    index, objects = _read_objects(files, settings)
    categories = method_class.categories(int(objects.labels.max(initial=0)) + 1)
    method = _build(files, settings, method_class, categories).to(device)
    identity = training_identity(settings, index, objects, categories, [files.backbone])
    log = _train(files, settings, runtime, method, TileDataset(index, objects, settings, "pretrain"), identity)
    if rank() == 0:
        counts = {"tiles": len(index), "objects": len(objects.boxes), "pseudo_classes": len(categories)}
        computed = {"computed_in": computed_precision(settings.precision, device.type)}
        _write(files, settings, method, categories, log, {"image_size": settings.image_size}, {**counts, **computed})


def _write(
    files: PretrainFiles,
    settings: PretrainSettings,
    method: PretrainingMethod,
    categories: list[str],
    log: LogBook,
    facts: Mapping[str, Any] | None = None,
    counts: Mapping[str, int | str] | None = None,
) -> None:
    """Write detector, log and provenance; `facts` go into the detector's header too."""
    backbone = read_metadata(files.backbone).get("method", "unknown")
    known = {"pretrain_method": settings.method, "backbone_method": backbone, **(facts or {})}
    save_detector(files.output, method.detector.cpu(), categories, known)
    log.write(files.log)
    write_provenance(files.output, settings=settings.model_dump(mode="json"), **known, **(counts or {}))


def _build(files: PretrainFiles, settings: PretrainSettings, method_class: type[PretrainingMethod], categories: list[str]) -> PretrainingMethod:
    frozen, _ = read_backbone(files.backbone)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(settings.seed, "pretrain", "weights"))
        detector = load(DETECTORS, settings.architecture.kind)(settings.architecture, len(categories))
        load_backbone(detector.backbone, frozen.body.state_dict(), files.backbone)
        return method_class(detector, settings)


def _read_objects(files: PretrainFiles, settings: TrainedPretrainSettings) -> tuple[TileIndex, PackedObjects]:
    """Tiles and, for methods that learn from them, their pseudo objects; tiles without any are then left out where the settings say so."""
    index = TileIndex.read(files.tiles)
    if not isinstance(settings, PseudoLabelPretrainSettings):
        return index, no_objects(len(index))
    width = settings.architecture.width if settings.uses_embeddings else None
    return used_tiles(index, read_pseudo_objects(files.pseudo_labels, index, settings.min_box_side, settings.most_boxes, width), settings)


def _train(
    files: PretrainFiles, settings: TrainedPretrainSettings, runtime: Runtime, method: PretrainingMethod, dataset: TileDataset, identity: str
) -> LogBook:
    def losses(batch: Batch, generators: Sequence[torch.Generator]) -> Mapping[str, Tensor]:
        return method.losses(batch.images, batch.sizes, batch.targets, generators)

    if settings.compile:
        method.detector.compile_fixed_shapes()
    trainer = Trainer(method, losses, method.slow_parameters(), dataset, settings, "pretrain", method.after_step)
    return trainer.run(files.state, identity, runtime.workers)
