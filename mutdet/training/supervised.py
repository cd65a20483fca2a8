"""Losses of plain detector training on labels."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.training.tile_dataset import Batch


class SupervisedLoss:
    """ARS-DETR's losses: encoder, every decoder layer, denoising (docs/method.md B)."""

    def __init__(self, detector: ArsDetr) -> None:
        self._detector = detector

    def __call__(self, batch: Batch, generator: torch.Generator) -> Mapping[str, Tensor]:
        """Named, weighted losses of a batch."""
        detector = self._detector
        encoded = detector.encode(batch.images, batch.sizes)
        proposals = detector.propose(encoded, detector.project_memory(encoded))
        denoising = detector.denoise(batch.targets, batch.sizes, generator)
        decoded = detector.decode(encoded, proposals, denoising)
        return detector.losses(proposals, decoded, denoising, batch.targets, batch.sizes).values
