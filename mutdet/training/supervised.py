"""Losses of plain detector training on labels."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mutdet.detectors.two_stage_detr import TwoStageDetr
from mutdet.training.tile_dataset import Batch


class SupervisedLoss:
    """ARS-DETR's losses: encoder, every decoder layer, denoising (docs/method.md B)."""

    def __init__(self, detector: TwoStageDetr) -> None:
        self._detector = detector

    def __call__(self, batch: Batch, generators: Sequence[torch.Generator]) -> Mapping[str, Tensor]:
        """Named, weighted losses of a batch."""
        return self._detector.train_pass(batch.images, batch.sizes, batch.targets, generators).detection.values
