"""No pre-training: the baseline `none`."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mutdet.detectors.types import Targets
from mutdet.pretraining.interface import PretrainingMethod


class Untrained(PretrainingMethod):
    """Keeps the detector as initialised, with the backbone's weights in it."""

    @staticmethod
    def categories(pseudo_classes: int) -> list[str]:
        """One class, `object`."""
        return ["object"]

    def losses(self, images: Tensor, sizes: Tensor, targets: Sequence[Targets], generators: Sequence[torch.Generator]) -> Mapping[str, Tensor]:
        """No loss."""
        return {}
