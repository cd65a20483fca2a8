"""Where a backbone's weights come from: ImageNet, a file, or chance."""

import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import torch
import torchvision
from torch import Tensor

from mutdet.embedding.backbones import Backbone, build_backbone
from mutdet.embedding.batch_norm import estimate_batch_norm
from mutdet.embedding.tile_images import decode_image, normalised
from mutdet.embedding.weight_files import load_weights, read_weights
from mutdet.settings.backbone import BackboneFiles
from mutdet.settings.backbones.checkpoint import CheckpointBackboneSettings
from mutdet.settings.backbones.imagenet import ImagenetBackboneSettings
from mutdet.settings.backbones.random import RandomBackboneSettings
from mutdet.settings.base import Runtime
from mutdet.settings.console import progress
from mutdet.settings.errors import UserError
from mutdet.settings.seeds import seed_for
from mutdet.tables.read import RandomReader, read_table

_CALIBRATION_BATCH = 16


def imagenet_backbone(settings: ImagenetBackboneSettings, files: BackboneFiles, runtime: Runtime) -> Backbone:
    """Weights IMAGENET1K_V1 from a local file or from torchvision's address; reads no tile.

    Raises:
        UserError: the file is unfit, or the download failed.
    """
    backbone = build_backbone(settings.architecture)
    if settings.weights is not None:
        load_weights(backbone, read_weights(settings.weights, settings.sha256), settings.weights)
        return backbone.eval()
    weights = torchvision.models.get_model_weights(settings.architecture)["IMAGENET1K_V1"]
    try:
        tensors = torch.hub.load_state_dict_from_url(weights.url, map_location="cpu", progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        remedy = "download it on another machine and set `weights` to the file"
        raise UserError(f"download failed ({str(error).splitlines()[0]})", file=weights.url, remedy=remedy) from error
    load_weights(backbone, tensors, weights.url)
    return backbone.eval()


def checkpoint_backbone(settings: CheckpointBackboneSettings, files: BackboneFiles, runtime: Runtime) -> Backbone:
    """Weights from a local file; reads no tile.

    Raises:
        UserError: the file is missing, damaged or of another architecture.
    """
    backbone = build_backbone(settings.architecture)
    load_weights(backbone, read_weights(settings.weights, settings.sha256), settings.weights)
    return backbone.eval()


def random_backbone(settings: RandomBackboneSettings, files: BackboneFiles, runtime: Runtime) -> Backbone:
    """Seeded untrained weights, batch normalisation set to the statistics of some tiles.

    Without that, every residual block about doubles the variance of its input and features grow with depth. The tiles
    are those with the smallest hashes of (seed, tile_id), in that order and in fixed batches: shards do not matter.

    Raises:
        UserError: the tables hold no tile.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_for(settings.seed, "backbone", settings.architecture))
        backbone = build_backbone(settings.architecture)
    estimate_batch_norm(backbone, progress(_calibration_batches(settings, files.tiles), "backbone: batches for statistics"))
    return backbone.eval()


def _calibration_batches(settings: RandomBackboneSettings, tiles: Sequence[Path]) -> Iterator[Tensor]:
    tile_ids = read_table(tiles, ["tile_id"])["tile_id"].to_pylist()
    if not tile_ids:
        raise UserError("no tile to take statistics from", remedy="give at least one unlabelled image")
    order = heapq.nsmallest(settings.calibration_tiles, range(len(tile_ids)), key=lambda i: (seed_for(settings.seed, "calibration", tile_ids[i]), tile_ids[i]))
    reader = RandomReader(tiles, ["image"])
    side = (settings.calibration_size, settings.calibration_size)
    for start in range(0, len(order), _CALIBRATION_BATCH):
        chosen = order[start : start + _CALIBRATION_BATCH]
        images = [decode_image(reader[i]["image"], tile_ids[i]) for i in chosen]
        yield torch.stack([normalised(cv2.resize(image, side, interpolation=cv2.INTER_AREA)) for image in images])
