"""DETReg: localise pseudo boxes without regard to class, and predict an embedding of what each holds (docs/method.md G)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mutdet.detectors.two_stage_detr import TwoStageDetr
from mutdet.detectors.types import Targets
from mutdet.pretraining.alignment import absolute_distance, gathered_embeddings, matched_states, perceptron, squared_distance
from mutdet.pretraining.interface import PretrainingMethod
from mutdet.pretraining.patches import augmented_patches, pooled_features
from mutdet.settings.pretraining.detreg import DetRegPretrainSettings

_DISTANCES = {"l1": absolute_distance, "l2": squared_distance}
_LEVELS = {8: 0, 16: 1, 32: 2}


class DetReg(PretrainingMethod):
    """The detector's own losses on one class, and a perceptron from states of matched queries, last layer and denoising, to the target."""

    def __init__(self, detector: TwoStageDetr, settings: DetRegPretrainSettings) -> None:
        super().__init__(detector, settings)
        self._settings = settings
        self._boxes = {"own": own_boxes, "another_tile": boxes_of_another_tile}[settings.boxes]
        self._wanted = {"embedding": self._given_embeddings, "features": self._features}[settings.target]
        width = settings.architecture.width
        outputs = {"embedding": width, "features": detector.backbone.channels[_LEVELS[settings.feature_stride]]}[settings.target]
        self.embedding = perceptron(width, width, outputs)
        detector.train_backbone("nothing")

    @staticmethod
    def categories(pseudo_classes: int) -> list[str]:
        """One class, `object`."""
        return ["object"]

    def losses(self, images: Tensor, sizes: Tensor, targets: Sequence[Targets], generators: Sequence[torch.Generator]) -> Mapping[str, Tensor]:
        """Detection losses, and `embedding_decoder` and `embedding_denoising`."""
        objects = self._boxes(targets, sizes)
        done = self.detector.train_pass(images, sizes, objects, generators)
        wanted = self._wanted(images, sizes, objects, generators)
        distance, weight = _DISTANCES[self._settings.distance], self._settings.embedding_weight
        pairs = matched_states(done.decoded, done.detection)
        terms = {f"embedding_{part}": weight * distance(self.embedding(states), wanted, target) for part, (states, target) in pairs.items()}
        return {**done.detection.values, **terms}

    def _given_embeddings(self, images: Tensor, sizes: Tensor, objects: Sequence[Targets], generators: Sequence[torch.Generator]) -> Tensor:
        return torch.cat(gathered_embeddings([t.embeddings for t in objects]))

    def _features(self, images: Tensor, sizes: Tensor, objects: Sequence[Targets], generators: Sequence[torch.Generator]) -> Tensor:
        patches = augmented_patches(images, sizes, [t.boxes for t in objects], self._settings, generators)
        return pooled_features(self.detector.backbone, patches, _LEVELS[self._settings.feature_stride])


def own_boxes(targets: Sequence[Targets], sizes: Tensor) -> list[Targets]:
    """The same boxes and embeddings, all of class 0."""
    return [Targets(t.boxes, torch.zeros_like(t.labels), t.embeddings) for t in targets]


def boxes_of_another_tile(targets: Sequence[Targets], sizes: Tensor) -> list[Targets]:
    """For every tile the boxes of the one before it, of class 0, without embeddings; those whose centre lies outside are left out."""
    found = []
    for other, (height, width) in zip([*targets[-1:], *targets[:-1]], sizes.tolist(), strict=True):
        inside = (other.boxes[:, 0] < width) & (other.boxes[:, 1] < height) & (other.boxes[:, :2] >= 0).all(dim=1)
        found.append(Targets(other.boxes[inside], torch.zeros_like(other.labels[inside])))
    return found
