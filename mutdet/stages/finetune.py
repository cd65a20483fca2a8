"""Stage `finetune`: supervised training on a share of the labelled images."""

from collections.abc import Iterator
from dataclasses import asdict

import torch
from torch import Tensor

from mutdet.data.subsets import choose_images
from mutdet.detectors.transfer import TransferReport, transfer
from mutdet.detectors.two_stage_detr import TwoStageDetr
from mutdet.detectors.weights import DetectorFile, load_detector, save_detector
from mutdet.evaluation.inference import CLASS_AGNOSTIC
from mutdet.nn.backbones import Extent, reestimate_batch_norm
from mutdet.nn.ranks import rank
from mutdet.proposals.precision import computed_precision
from mutdet.settings.base import Runtime
from mutdet.settings.console import log, progress
from mutdet.settings.errors import UserError
from mutdet.settings.finetune import FinetuneFiles, FinetuneSettings
from mutdet.settings.registries import DETECTORS, load
from mutdet.settings.seeds import seed_for
from mutdet.tables.read import read_table
from mutdet.tables.write import write_provenance
from mutdet.training.identity import training_identity
from mutdet.training.labelled_objects import categories_of_images, read_labelled_objects
from mutdet.training.log_book import LogBook
from mutdet.training.loop import Trainer
from mutdet.training.objects import used_tiles
from mutdet.training.processes import training_device
from mutdet.training.sampling import BatchOrder
from mutdet.training.supervised import SupervisedLoss
from mutdet.training.tile_dataset import TileDataset, collate
from mutdet.training.tile_index import TileIndex

_STATISTICS_BATCH = 8


def run(files: FinetuneFiles, settings: FinetuneSettings, runtime: Runtime) -> None:
    """Train on the chosen images, or pass the pre-trained detector on where `epochs` is 0."""
    if settings.epochs == 0:
        _pass_on(files, settings)
        return
    with training_device(runtime, settings.processes) as device:
        _train(files, settings, runtime, device)


def _pass_on(files: FinetuneFiles, settings: FinetuneSettings) -> None:
    source = load_detector(files.detector)
    facts = {**source.facts, "image_size": settings.image_size, CLASS_AGNOSTIC: True}
    save_detector(files.output, source.model, source.categories, facts)
    LogBook(settings.log_every).write(files.log)
    write_provenance(files.output, settings=settings.model_dump(mode="json"), **facts)


def _train(files: FinetuneFiles, settings: FinetuneSettings, runtime: Runtime, device: torch.device) -> None:
    source = load_detector(files.detector)
    categories, images = _labelled_images(files, settings)
    index = TileIndex.read(files.tiles)
    index = index.keep([image in images for image in index.image_ids])
    objects = read_labelled_objects(index, categories, settings.ignore_categories, settings.min_box_side)
    index, objects = used_tiles(index, objects, settings)
    dataset = TileDataset(index, objects, settings, "finetune")
    model, report = _model(source, settings, len(categories))
    _prepare_backbone(model.to(device), source, dataset, settings)
    if settings.compile:
        model.compile_fixed_shapes()
    trainer = Trainer(model, SupervisedLoss(model), model.slow_parameters(), dataset, settings, "finetune")
    book = trainer.run(files.state, training_identity(settings, index, objects, categories, [files.detector]), runtime.workers)
    if rank():
        return
    facts = {**source.facts, "image_size": settings.image_size, CLASS_AGNOSTIC: False}
    save_detector(files.output, model.cpu(), categories, facts)
    book.write(files.log)
    counts = {"images": sorted(images), "tiles": len(index), "objects": len(objects.boxes), "computed_in": computed_precision(settings.precision, device.type)}
    write_provenance(files.output, settings=settings.model_dump(mode="json"), transfer=asdict(report), **counts, **facts)


def _labelled_images(files: FinetuneFiles, settings: FinetuneSettings) -> tuple[list[str], set[str]]:
    """Categories of split train, sorted, whatever the fraction; and the ids of the images chosen from it."""
    images, labels = read_table(files.images, ["image_id", "split"]), read_table(files.labels, ["image_id", "category"])
    found = categories_of_images(images, labels, "train", settings.ignore_categories)
    categories = sorted(set().union(*found.values()))
    if not categories:
        raise UserError("no image of split train has a label", file=files.labels, remedy="give the data set labels and a split train")
    chosen = choose_images(found, settings.fraction, settings.subset_seed)
    log.info("%d of %d images, %d categories", len(chosen), len(found), len(categories))
    return categories, set(chosen)


def _model(source: DetectorFile, settings: FinetuneSettings, classes: int) -> tuple[TwoStageDetr, TransferReport]:
    """Detector with new class heads and everything else from the pre-trained one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(settings.seed, "finetune", "weights"))
        model: TwoStageDetr = load(DETECTORS, source.settings.kind)(source.settings, classes)
    report = transfer(source.model.shared_state(), model)
    log.info("transfer: %s", report.summary())
    return model, report


def _prepare_backbone(model: TwoStageDetr, source: DetectorFile, dataset: TileDataset, settings: FinetuneSettings) -> None:
    """Batch norm of ImageNet's backbone stays as it is; any other gets statistics of these tiles. Then what of it trains."""
    imagenet = source.facts.get("backbone_method") == "imagenet"
    if not imagenet:
        tiles = min(settings.statistics_tiles, len(dataset))
        batches = -(-tiles // _STATISTICS_BATCH)
        reestimate_batch_norm(model.backbone, progress(_images(model, dataset, settings, batches), "batch-norm statistics", total=batches))
    usual: Extent = "upper" if imagenet else "all"
    model.train_backbone(usual if settings.backbone_training == "auto" else settings.backbone_training)


def _images(model: TwoStageDetr, dataset: TileDataset, settings: FinetuneSettings, batches: int) -> Iterator[Tensor]:
    """Batches of augmented tiles, as the training will see them."""
    device = next(model.parameters()).device
    for draws in BatchOrder(len(dataset), _STATISTICS_BATCH, batches, settings.seed, "statistics"):
        yield collate([dataset[draw] for draw in draws]).images.to(device)
