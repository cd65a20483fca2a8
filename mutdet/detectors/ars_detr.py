"""ARS-DETR: two-stage deformable DETR for rotated boxes (docs/method.md B)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mutdet.detectors.two_stage_detr import TwoStageDetr
from mutdet.detectors.types import Targets
from mutdet.nn.angles import ClassifiedAngle
from mutdet.nn.denoising import DenoisingQueries, make_denoising_queries
from mutdet.nn.rotated_attention import nearest_upright
from mutdet.settings.detectors import DetectorSettings


class ArsDetr(TwoStageDetr):
    """Angle classification with aspect-ratio-aware labels and weights, attention that turns with the boxes, denoising queries.

    Args:
        settings: architecture, cost and loss weights.
        classes: N.
    """

    def __init__(self, settings: DetectorSettings, classes: int) -> None:
        super().__init__(settings, classes, ClassifiedAngle(settings.angle_bins), nearest_upright)

    def denoise(self, targets: Sequence[Targets], sizes: Tensor, generators: Sequence[torch.Generator]) -> DenoisingQueries | None:
        """Noised copies of the targets; see `TwoStageDetr.denoise`."""
        return make_denoising_queries(self._collect(targets, sizes), self.denoising_labels, self.settings, generators)

    def _build_denoising(self) -> None:
        self.denoising_labels = nn.Embedding(self.classes, self.settings.width)
