"""What object embeddings and encoder tokens take from each other before they are compared: the rows of MutDet's ablation (docs/method.md C, G)."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

from torch import Tensor, nn

from mutdet.detectors.two_stage_detr import TwoStageDetr
from mutdet.detectors.types import Encoded
from mutdet.nn.mutual_enhancement import MutualEnhancement, MutualEnhancementLayer, pad_objects, unpad_objects
from mutdet.nn.token_projection import TokenProjection
from mutdet.settings.pretraining.mutdet import MutdetPretrainSettings


@dataclass(frozen=True)
class Enhanced:
    """The pass that is aligned with objects.

    Attributes:
        encoded: what the decoder attends to.
        tokens: [B, K, C] that proposals are made of.
        objects: [G, C] vectors of all objects, to align with.
    """

    encoded: Encoded
    tokens: Tensor
    objects: Tensor


class Enhancement(nn.Module, ABC):
    """From an encoded batch and its objects' embeddings to the pass that is aligned with objects.

    Attributes:
        branch: name of that pass in the log.
    """

    branch: ClassVar[str] = "plain"

    def __init__(self, settings: MutdetPretrainSettings) -> None:
        super().__init__()

    @abstractmethod
    def forward(self, detector: TwoStageDetr, encoded: Encoded, embeddings: list[Tensor]) -> Enhanced:
        """`embeddings`: [M, C] of every image."""


class NoEnhancement(Enhancement):
    """Features and embeddings as they are."""

    def forward(self, detector: TwoStageDetr, encoded: Encoded, embeddings: list[Tensor]) -> Enhanced:
        """The detector's own pass, and the given embeddings."""
        padded, present = pad_objects(embeddings)
        return Enhanced(encoded, detector.project_memory(encoded), padded[present])


class _WithModule(Enhancement):
    """Has the Mutual Enhancement Module and, before it, a projection of tokens of its own."""

    def __init__(self, settings: MutdetPretrainSettings) -> None:
        super().__init__(settings)
        width = settings.architecture.width
        self.projection = TokenProjection(width)
        self.layers = MutualEnhancement(width, settings.architecture.heads, settings.enhancement_width, settings.enhancement_layers)


class EnhancedEmbeddings(_WithModule):
    """Embeddings take from features; features stay, so that the second half of every layer has no use."""

    def forward(self, detector: TwoStageDetr, encoded: Encoded, embeddings: list[Tensor]) -> Enhanced:
        """The detector's own pass, and enhanced embeddings."""
        objects, present = pad_objects(embeddings)
        features, seen = self.projection(encoded.memory, encoded.valid), ~encoded.padding_mask[:, None]
        for layer in cast(Sequence[MutualEnhancementLayer], self.layers.layers):
            objects = layer.enhance_objects(features, objects, seen, present[:, None])
        return Enhanced(encoded, detector.project_memory(encoded), unpad_objects(objects, embeddings))


class MutuallyEnhanced(_WithModule):
    """Both take from each other; proposals and decoder see enhanced features."""

    branch = "enhanced"

    def forward(self, detector: TwoStageDetr, encoded: Encoded, embeddings: list[Tensor]) -> Enhanced:
        """A pass on enhanced tokens, and enhanced embeddings."""
        padded, present = pad_objects(embeddings)
        features, objects = self.layers(self.projection(encoded.memory, encoded.valid), padded, ~encoded.padding_mask, present)
        return Enhanced(replace(encoded, memory=features), features, unpad_objects(objects, embeddings))


ENHANCEMENTS: dict[str, type[Enhancement]] = {"nothing": NoEnhancement, "embeddings": EnhancedEmbeddings, "embeddings_and_features": MutuallyEnhanced}
