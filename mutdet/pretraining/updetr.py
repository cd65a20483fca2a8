"""UP-DETR: find random patches of an image, given their features as queries (docs/method.md G)."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mutdet.detectors.two_stage_detr import TwoStageDetr
from mutdet.detectors.types import Decoded, Encoded, Proposals, Targets
from mutdet.geometry.random_boxes import random_boxes
from mutdet.nn.decoder import LayerOutputs
from mutdet.nn.matcher import Matches
from mutdet.pretraining.alignment import perceptron, squared_distance_of_directions
from mutdet.pretraining.interface import PretrainingMethod
from mutdet.pretraining.patches import augmented_patches, pooled_features
from mutdet.settings.pretraining.updetr import UpDetrPretrainSettings

_LEVEL = 2
"""The backbone's last level, of stride 32."""


class UpDetr(PretrainingMethod):
    """The detector's own losses on random patches as objects of one class, without denoising queries, which no patch could be told to.

    Query q belongs to patch q mod M: queries are ranked by objectness, so that consecutive groups would leave the worst places to the last patch.
    Matching goes over all queries; that a query finds its own patch is not enforced (as published).
    """

    groups: Tensor
    seen: Tensor | None

    def __init__(self, detector: TwoStageDetr, settings: UpDetrPretrainSettings) -> None:
        super().__init__(detector, settings)
        width, features = settings.architecture.width, detector.backbone.channels[_LEVEL]
        self._settings = settings
        self.patch_content = nn.Linear(features, width)
        self.reconstruction = perceptron(width, width, features)
        groups = query_groups(settings.architecture.queries, settings.patches)
        self.register_buffer("seen", group_mask(groups) if settings.group_attention else None, persistent=False)
        self.register_buffer("groups", groups, persistent=False)
        detector.train_backbone("nothing")

    @staticmethod
    def categories(pseudo_classes: int) -> list[str]:
        """One class, `object`."""
        return ["object"]

    def losses(self, images: Tensor, sizes: Tensor, targets: Sequence[Targets], generators: Sequence[torch.Generator]) -> Mapping[str, Tensor]:
        """Detection losses without denoising, those of the encoder only where its proposals are used, and `reconstruction<layer>`; targets are not read."""
        detector, settings = self.detector, self._settings
        patches = random_patches(sizes, settings, generators, images.device)
        features = pooled_features(detector.backbone, augmented_patches(images, sizes, [p.boxes for p in patches], settings, generators), _LEVEL)
        encoded = detector.encode(images, sizes)
        proposals = detector.propose(encoded, detector.project_memory(encoded), self._ranking(encoded, generators))
        outputs = self._decode(encoded, proposals, features.unflatten(0, (len(images), -1)), generators)
        detection = detector.losses(proposals, Decoded(outputs, None), None, patches, sizes)
        learned = {name: value for name, value in detection.values.items() if self._uses_proposals or not name.startswith("encoder/")}
        return {**learned, **self._reconstructions(outputs, detection.decoder, features)}

    @property
    def _uses_proposals(self) -> bool:
        return self._settings.query_places == "proposals"

    def _ranking(self, encoded: Encoded, generators: Sequence[torch.Generator]) -> Tensor | None:
        """Scores [B, K] by which tokens become queries, drawn at random; None: the encoder's own."""
        if self._uses_proposals:
            return None
        tokens = encoded.memory.shape[1]
        return torch.stack([torch.rand(tokens, generator=generator) for generator in generators]).to(encoded.memory.device)

    def _decode(self, encoded: Encoded, proposals: Proposals, features: Tensor, generators: Sequence[torch.Generator]) -> LayerOutputs:
        """Decode with the features [B, M, D] of each query's patch added to its content, some left out."""
        told = torch.stack([torch.rand(len(self.groups), 1, generator=generator) for generator in generators]) >= self._settings.patch_dropout
        hints = self.patch_content(features)[:, self.groups] * told.to(features.device)
        seen = None if self.seen is None else self.seen.expand(len(features), -1, -1)
        return self.detector.decode_queries(encoded, proposals, hints, seen)

    def _reconstructions(self, outputs: LayerOutputs, matches: Sequence[Matches], features: Tensor) -> dict[str, Tensor]:
        terms = {}
        for layer, (states, match) in enumerate(zip(outputs.states, matches, strict=True)):
            predicted = self.reconstruction(states[match.image, match.query])
            terms[f"reconstruction{layer}"] = self._settings.reconstruction_weight * squared_distance_of_directions(predicted, features, match.target)
        return terms


def query_groups(queries: int, patches: int) -> Tensor:
    """[Q] patch of each query; groups differ in size by one at most, whatever Q and M are."""
    return torch.arange(queries) % patches


def group_mask(groups: Tensor) -> Tensor:
    """[1, Q, Q] True where a query (row) may see another: in its own group."""
    return (groups[:, None] == groups)[None]


def random_patches(sizes: Tensor, settings: UpDetrPretrainSettings, generators: Sequence[torch.Generator], device: torch.device) -> list[Targets]:
    """M random rotated boxes of class 0, on a device, in every image of a size [B, 2] (height, width)."""
    seeds = [int(torch.randint(2**62, (), generator=generator)) for generator in generators]
    found = []
    for seed, (height, width) in zip(seeds, sizes.tolist(), strict=True):
        longest = settings.longest_side or max(settings.shortest_side, min(height, width) - settings.shortest_side)
        boxes = random_boxes(settings.patches, width, height, (settings.shortest_side, longest), np.random.default_rng(seed))
        found.append(Targets(torch.from_numpy(boxes).to(device), torch.zeros(settings.patches, dtype=torch.int64, device=device)))
    return found
