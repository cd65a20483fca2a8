"""What a pre-training method is. The training loop and the stage know none by name."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mutdet.detectors.two_stage_detr import TwoStageDetr
from mutdet.detectors.types import Targets
from mutdet.settings.base import Settings


class PretrainingMethod(nn.Module, ABC):
    """A detector, the extra modules that a method builds around it, and the losses of a batch.

    A method is constructed as `Method(detector, settings)`; only the detector outlives the training.

    Which targets a method is given follows from its settings: pseudo objects where these are `PseudoLabelPretrainSettings`, with embeddings
    where they say so; no objects for a method that makes its own.

    Attributes:
        detector: what is pre-trained; its backbone is frozen by the method.
    """

    def __init__(self, detector: TwoStageDetr, settings: Settings) -> None:
        super().__init__()
        self.detector = detector

    @staticmethod
    @abstractmethod
    def categories(pseudo_classes: int) -> list[str]:
        """Names of the detector's classes where the pseudo labels have so many; decides how many classes it is built with."""

    @abstractmethod
    def losses(self, images: Tensor, sizes: Tensor, targets: Sequence[Targets], generators: Sequence[torch.Generator]) -> Mapping[str, Tensor]:
        """Named, weighted losses of a batch.

        Args:
            images: [B, 3, H, W] normalised RGB, padded.
            sizes: [B, 2] height and width without padding.
            targets: pseudo objects: boxes, pseudo-classes and, where the method uses them, unit embeddings.
            generators: one per image, on the CPU, for random numbers other than dropout, seeded by step and tile.
        """

    def after_step(self, progress: float) -> None:
        """Called after each optimiser step, e.g. to move a second network.

        Args:
            progress: share of the training that is done, in (0, 1].
        """

    def slow_parameters(self) -> list[str]:
        """Names of parameters that train at a lower rate; by default the detector's own."""
        return [f"detector.{name}" for name in self.detector.slow_parameters()]
