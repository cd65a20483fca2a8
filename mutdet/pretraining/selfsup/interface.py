"""What a self-supervised method is. The training loop knows none by name."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from mutdet.embedding.backbones import Backbone
from mutdet.settings.backbones.self_supervised import SelfSupervisedSettings


@dataclass(frozen=True)
class Comparison:
    """What a method makes of the views of some tiles.

    Attributes:
        losses: named, weighted scalars, whose sum is minimised.
        features: [B, D] pooled features of the first view, without a gradient: what collapse is read from.
    """

    losses: Mapping[str, Tensor]
    features: Tensor


class SelfSupervisedMethod(nn.Module, ABC):
    """A backbone, the heads that a method puts on it, and the comparison of views.

    A method is constructed as `Method(backbone, settings)`; only the backbone outlives the training. Its `state_dict` holds
    all that a resumed training needs, second networks and queues included.

    Attributes:
        constant_rate: prefixes of parameters whose learning rate follows no schedule.
        backbone: what is trained.
    """

    constant_rate: ClassVar[tuple[str, ...]] = ()

    def __init__(self, backbone: Backbone, settings: SelfSupervisedSettings) -> None:
        super().__init__()
        self.backbone = backbone

    @abstractmethod
    def compare(self, views: Sequence[Tensor]) -> Comparison:
        """Losses of some tiles.

        Args:
            views: normalised images [B, 3, S, S] of the same B >= 2 tiles, one tensor for each of the settings' `view_sizes`.
        """

    def after_step(self, progress: float) -> None:
        """Called after each optimiser step, e.g. to move a second network.

        Args:
            progress: share of the training that is done, in (0, 1].
        """
