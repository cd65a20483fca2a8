"""MutDet: mutual enhancement of features and object embeddings, contrastive alignment, siamese branch (docs/method.md C)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mutdet.detectors.two_stage_detr import TwoStageDetr
from mutdet.detectors.types import Decoded, DetectionLosses, Encoded, Proposals, Targets
from mutdet.nn.denoising import DenoisingQueries
from mutdet.nn.full_precision import full_precision
from mutdet.nn.ranks import share_of_count
from mutdet.pretraining.alignment import contrast, gathered_embeddings, matched_states, perceptron, squared_distance_of_directions
from mutdet.pretraining.enhancement import ENHANCEMENTS, Enhanced
from mutdet.pretraining.interface import PretrainingMethod
from mutdet.settings.pretraining.mutdet import MutdetPretrainSettings


@dataclass(frozen=True)
class _Branch:
    """One pass through proposals and decoder with its detection losses."""

    proposals: Proposals
    decoded: Decoded
    detection: DetectionLosses


@dataclass(frozen=True)
class _Batch:
    """What the parts of a step share."""

    encoded: Encoded
    enhanced: Enhanced
    denoising: DenoisingQueries | None
    objects: list[Targets]
    sizes: Tensor


class MutDet(PretrainingMethod):
    """Two branches through one detector: `enhanced`, on features that met the object embeddings, and `auxiliary`, on plain ones.

    They share decoder, heads, query table and denoising queries; each has the complete detection loss. Five terms align predictions with the enhanced
    embeddings, which are not detached: decoder and denoising states of both branches, and the enhanced encoder tokens. Settings take parts away, as
    the paper's ablation does, or put its two distillations beside them; where features are not enhanced the one branch is called `plain`.
    """

    def __init__(self, detector: TwoStageDetr, settings: MutdetPretrainSettings) -> None:
        super().__init__(detector, settings)
        width = settings.architecture.width
        self._settings = settings
        contrastive = contrast(settings.temperature, gather=settings.gather_negatives)
        self._distance = {"contrastive": contrastive, "l2": squared_distance_of_directions}[settings.alignment]
        self._distillations = _distillations(settings)
        self.enhancement = ENHANCEMENTS[settings.enhancement](settings)
        self.token_embedding = perceptron(width, settings.embedding_width, width)
        self.state_embedding = perceptron(width, width, width)
        detector.train_backbone("nothing")

    @staticmethod
    def categories(pseudo_classes: int) -> list[str]:
        """One class per cluster."""
        return [f"cluster_{number}" for number in range(pseudo_classes)]

    def losses(self, images: Tensor, sizes: Tensor, targets: Sequence[Targets], generators: Sequence[torch.Generator]) -> Mapping[str, Tensor]:
        """Detection losses of every branch, the terms of alignment and distillation, weighted."""
        objects = list(targets)
        encoded = self.detector.encode(images, sizes)
        denoising = self.detector.denoise(objects, sizes, generators)
        enhanced = self.enhancement(self.detector, encoded, gathered_embeddings([t.embeddings for t in objects]))
        batch = _Batch(encoded, enhanced, denoising, objects, sizes)
        embedded = self.token_embedding(enhanced.tokens) if self._settings.align_encoder else None
        scores = None if embedded is None else self._proposal_scores(enhanced.tokens, embedded, enhanced.objects, objects)
        main = self.enhancement.branch
        passes = {main: self._pass(enhanced.encoded, enhanced.tokens, scores, batch)}
        if self._settings.siamese:
            passes["auxiliary"] = self._pass(encoded, self.detector.project_memory(encoded), None, batch)
        branches = self._branches(passes, batch)
        terms = {name: value for branch in branches.values() for name, value in branch.detection.values.items()}
        if embedded is not None:
            terms[f"{main}/align_encoder"] = self._token_alignment(embedded, branches[main], enhanced.objects)
        terms |= self._state_alignment(branches, enhanced.objects)
        return terms | {name: weight * term(self.detector, batch, branches[main]) for name, (weight, term) in self._distillations.items()}

    def _pass(self, encoded: Encoded, tokens: Tensor, scores: Tensor | None, batch: _Batch) -> tuple[Proposals, Decoded]:
        proposals = self.detector.propose(encoded, tokens, scores)
        return proposals, self.detector.decode(encoded, proposals, batch.denoising)

    def _branches(self, passes: Mapping[str, tuple[Proposals, Decoded]], batch: _Batch) -> dict[str, _Branch]:
        losses = self.detector.losses_together({f"{name}/": part for name, part in passes.items()}, batch.denoising, batch.objects, batch.sizes)
        return {name: _Branch(*part, losses[f"{name}/"]) for name, part in passes.items()}

    @torch.no_grad()
    def _proposal_scores(self, features: Tensor, embedded: Tensor, embeddings: Tensor, targets: Sequence[Targets]) -> Tensor:
        """[B, K] in [0, 1]: probability of an object times the largest cosine with an enhanced embedding of the image, mapped to [0, 1].

        Unlike the released code, which multiplies by the logit: with a negative one, likeness lowers the rank (docs/method.md E 4).
        An image without objects ranks by the probability alone.
        """
        scores = self.detector.objectness(features).sigmoid()
        tokens = functional.normalize(embedded.float(), dim=-1)
        parts = functional.normalize(embeddings.float(), dim=-1).split([len(t.boxes) for t in targets])
        for image, objects in enumerate(parts):
            if len(objects):
                with full_precision(scores.device):
                    scores[image] *= (1.0 + (tokens[image] @ objects.T).amax(-1)) / 2.0
        return scores

    def _token_alignment(self, embedded: Tensor, branch: _Branch, objects: Tensor) -> Tensor:
        matches = branch.detection.encoder
        return self._settings.alignment_weight * self._distance(embedded[matches.image, matches.query], objects, matches.target)

    def _state_alignment(self, branches: Mapping[str, _Branch], objects: Tensor) -> dict[str, Tensor]:
        """Terms of decoder and, where there are any, denoising states, named after branch and part."""
        return {
            f"{name}/align_{part}": self._settings.alignment_weight * self._distance(self.state_embedding(states), objects, target)
            for name, branch in branches.items()
            for part, (states, target) in matched_states(branch.decoded, branch.detection).items()
        }


_Distillation = Callable[[TwoStageDetr, _Batch, _Branch], Tensor]


def _distillations(settings: MutdetPretrainSettings) -> dict[str, tuple[float, _Distillation]]:
    """Name -> weight and loss of those that are on."""
    given = {"distil_encoder": (settings.encoder_distillation, distil_encoder), "distil_decoder": (settings.decoder_distillation, distil_decoder)}
    return {name: (weight, term) for name, (weight, term) in given.items() if weight > 0.0}


def distil_encoder(detector: TwoStageDetr, batch: _Batch, branch: _Branch) -> Tensor:
    """Mean over the tokens that can be proposals of 1 - cos(plain, enhanced); the enhanced ones are the teacher (no formula is published)."""
    likeness = torch.cosine_similarity(batch.encoded.memory, batch.enhanced.encoded.memory.detach(), dim=-1)
    return _mean((1.0 - likeness)[batch.encoded.valid])


def distil_decoder(detector: TwoStageDetr, batch: _Batch, branch: _Branch) -> Tensor:
    """Mean over queries of 1 - cos of last states: the enhanced branch's queries, decoded on plain features, against the branch itself (likewise)."""
    student = detector.decode(batch.encoded, branch.proposals).matching.states[-1]
    return _mean(1.0 - torch.cosine_similarity(student, branch.decoded.matching.states[-1].detach(), dim=-1))


def _mean(values: Tensor) -> Tensor:
    return values.sum() / share_of_count(values.numel(), values.device)
