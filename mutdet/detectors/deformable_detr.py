"""Rotated deformable DETR: ARS-DETR without its additions (docs/method.md G)."""

from mutdet.detectors.two_stage_detr import TwoStageDetr
from mutdet.nn.angles import RegressedAngle
from mutdet.nn.rotated_attention import ignore_angles
from mutdet.settings.detectors import DetectorSettings


class DeformableDetr(TwoStageDetr):
    """Two-stage deformable DETR (Zhu et al. 2021) whose boxes have an angle: regressed, of equal weight for all; queries look along upright boxes.

    There are no denoising queries. Settings of angle bins and denoising have no effect.

    Args:
        settings: architecture, cost and loss weights.
        classes: N.
    """

    def __init__(self, settings: DetectorSettings, classes: int) -> None:
        super().__init__(settings, classes, RegressedAngle(), ignore_angles)
