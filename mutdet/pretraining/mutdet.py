"""MutDet: mutual enhancement of features and object embeddings, contrastive alignment, siamese branch (docs/method.md C)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.detectors.types import Decoded, DetectionLosses, Encoded, Proposals, Targets
from mutdet.nn.matcher import Matches
from mutdet.nn.mutual_enhancement import MutualEnhancement, pad_objects
from mutdet.nn.token_projection import TokenProjection
from mutdet.pretraining.contrast import contrastive_alignment
from mutdet.pretraining.interface import PretrainingMethod
from mutdet.settings.pretrain import MutdetPretrainSettings


@dataclass(frozen=True)
class _Branch:
    """One pass through proposals and decoder with its detection losses."""

    proposals: Proposals
    decoded: Decoded
    detection: DetectionLosses


class MutDet(PretrainingMethod):
    """Two branches through one detector: `enhanced`, on features that met the object embeddings, and `auxiliary`, on plain ones.

    They share decoder, heads, query table and denoising queries; each has the complete detection loss. Five terms align predictions with the enhanced
    embeddings, which are not detached: decoder and denoising states of both branches, and the enhanced encoder tokens.
    """

    uses_embeddings: ClassVar[bool] = True

    def __init__(self, detector: ArsDetr, settings: MutdetPretrainSettings) -> None:
        super().__init__(detector, settings)
        width = settings.architecture.width
        self._temperature, self._weight = settings.temperature, settings.alignment_weight
        self.projection = TokenProjection(width)
        self.enhancement = MutualEnhancement(width, settings.architecture.heads, settings.enhancement_width, settings.enhancement_layers)
        self.token_embedding = _perceptron(width, settings.embedding_width)
        self.state_embedding = _perceptron(width, width)
        detector.train_backbone("nothing")

    @staticmethod
    def categories(pseudo_classes: int) -> list[str]:
        """One class per cluster."""
        return [f"cluster_{number}" for number in range(pseudo_classes)]

    def losses(self, images: Tensor, sizes: Tensor, targets: Sequence[Targets], generator: torch.Generator) -> Mapping[str, Tensor]:
        """Detection losses of both branches and the terms of alignment, weighted."""
        detector, objects = self.detector, list(targets)
        encoded = detector.encode(images, sizes)
        denoising = detector.denoise(objects, sizes, generator)
        features, embeddings, embedded = self._enhance(encoded, objects)
        auxiliary_proposals = detector.propose(encoded, detector.project_memory(encoded))
        enhanced = replace(encoded, memory=features)
        scores = self._proposal_scores(features, embedded, embeddings, objects)
        enhanced_proposals = detector.propose(enhanced, features, scores)
        branches: dict[str, _Branch] = {}
        for name, source, proposals in (("enhanced", enhanced, enhanced_proposals), ("auxiliary", encoded, auxiliary_proposals)):
            decoded = detector.decode(source, proposals, denoising)
            detection = detector.losses(proposals, decoded, denoising, objects, sizes, f"{name}/")
            branches[name] = _Branch(proposals, decoded, detection)
        alignment = self._alignment(branches, embedded, embeddings)
        return {**branches["enhanced"].detection.values, **branches["auxiliary"].detection.values, **alignment}

    def _enhance(self, encoded: Encoded, targets: Sequence[Targets]) -> tuple[Tensor, Tensor, Tensor]:
        """Enhanced tokens [B, K, C], enhanced embeddings of all objects [G, C], and embeddings of the tokens [B, K, C]."""
        given = [_embeddings(t) for t in targets]
        padded, present = pad_objects(given)
        features, objects = self.enhancement(self.projection(encoded.memory, encoded.valid), padded, ~encoded.padding_mask, present)
        return features, objects[present], self.token_embedding(features)

    @torch.no_grad()
    def _proposal_scores(self, features: Tensor, embedded: Tensor, embeddings: Tensor, targets: Sequence[Targets]) -> Tensor:
        """[B, K] in [0, 1]: probability of an object times the largest cosine with an enhanced embedding of the image, mapped to [0, 1].

        Unlike the released code, which multiplies by the logit: with a negative one, likeness lowers the rank (docs/method.md E 4).
        An image without objects ranks by the probability alone.
        """
        scores = self.detector.objectness(features).sigmoid()
        tokens = functional.normalize(embedded, dim=-1)
        parts = functional.normalize(embeddings, dim=-1).split([len(t.boxes) for t in targets])
        for image, objects in enumerate(parts):
            if len(objects):
                scores[image] *= (1.0 + (tokens[image] @ objects.T).amax(-1)) / 2.0
        return scores

    def _alignment(self, branches: Mapping[str, _Branch], embedded: Tensor, objects: Tensor) -> dict[str, Tensor]:
        """The five terms (three where there is no denoising), named after branch and part."""

        def align(predictions: Tensor, matches: Matches) -> Tensor:
            return self._weight * contrastive_alignment(predictions, objects, matches.target, self._temperature)

        matches = branches["enhanced"].detection.encoder
        terms = {"enhanced/align_encoder": align(embedded[matches.image, matches.query], matches)}
        for name, branch in branches.items():
            matches, states = branch.detection.decoder[-1], branch.decoded.matching.states[-1]
            terms[f"{name}/align_decoder"] = align(self.state_embedding(states[matches.image, matches.query]), matches)
            if branch.decoded.denoising is not None and branch.detection.denoising is not None:
                matches, states = branch.detection.denoising, branch.decoded.denoising.states[-1]
                terms[f"{name}/align_denoising"] = align(self.state_embedding(states[matches.image, matches.query]), matches)
        return terms


def _embeddings(targets: Targets) -> Tensor:
    if targets.embeddings is None:
        raise ValueError("MutDet needs the embedding of every object")
    return targets.embeddings


def _perceptron(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))
