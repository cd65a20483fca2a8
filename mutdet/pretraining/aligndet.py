"""AlignDet: two views, a detector and its moving average, contrast between their boxes (docs/method.md G)."""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mutdet.detectors.two_stage_detr import TwoStageDetr
from mutdet.detectors.types import Targets
from mutdet.nn.matcher import Matches
from mutdet.nn.ranks import rows_of_all_ranks, rows_of_this_rank
from mutdet.pretraining.alignment import perceptron
from mutdet.pretraining.box_contrast import BACKGROUND, box_contrast
from mutdet.pretraining.interface import PretrainingMethod
from mutdet.pretraining.selfsup.moving_average import keep_at
from mutdet.pretraining.views import View, draw_view
from mutdet.settings.pretraining.aligndet import AlignDetPretrainSettings


class AlignDet(PretrainingMethod):
    """The detector's own losses on one view, with clusters as classes, and in every decoder layer a contrast with the other view.

    The other view goes through a moving average of the detector; backbone, which is frozen, and query table are shared. In both views a query is
    of the object that it is matched with, by the detector's own costs on cluster labels, and all others are background. Denoising queries have
    detection losses alone.
    """

    def __init__(self, detector: TwoStageDetr, settings: AlignDetPretrainSettings) -> None:
        super().__init__(detector, settings)
        width = settings.architecture.width
        self._settings = settings
        detector.train_backbone("nothing")
        self.projections = nn.ModuleList(perceptron(width, width, settings.projection) for _ in range(settings.architecture.decoder_layers))
        self.average = copy.deepcopy(detector).requires_grad_(False)
        self.average.backbone, self.average.query_content = detector.backbone, detector.query_content
        self.average_projections = copy.deepcopy(self.projections).requires_grad_(False)

    @staticmethod
    def categories(pseudo_classes: int) -> list[str]:
        """One class per cluster."""
        return [f"cluster_{number}" for number in range(pseudo_classes)]

    def losses(self, images: Tensor, sizes: Tensor, targets: Sequence[Targets], generators: Sequence[torch.Generator]) -> Mapping[str, Tensor]:
        """Detection losses of the first view, and `contrast<layer>`."""
        first, second = (draw_view(images, sizes, targets, self._settings, generators) for _ in range(2))
        done = self.detector.train_pass(first.images, first.sizes, first.targets, generators)
        gather = rows_of_all_ranks if self._settings.gather_negatives else rows_of_this_rank
        first_id = gather(torch.cat([t.labels for t in targets]))[1]
        keys, key_ids = self._keys(second, first_id)
        settings, terms = self._settings, {}
        for layer, (states, matches, projection) in enumerate(zip(done.decoded.matching.states, done.detection.decoder, self.projections, strict=True)):
            own = (projection(states).flatten(0, 1), instance_ids(states, matches, first_id), keys[layer], key_ids[layer])
            online, online_ids, average, average_ids = (gather(rows)[0] for rows in own)
            loss = box_contrast(online, online_ids, average, average_ids, settings.temperature)
            terms[f"contrast{layer}"] = settings.contrast_weight * loss
        return {**done.detection.values, **terms}

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """Move the average towards the detector; what both share stays, bit by bit."""
        keep = keep_at(progress, self._settings.momentum, 1.0)
        for network, average in ((self.detector, self.average), (self.projections, self.average_projections)):
            own = dict(network.named_parameters())
            for name, parameter in average.named_parameters():
                parameter.lerp_(own[name], 1.0 - keep)

    @torch.no_grad()
    def _keys(self, view: View, first_id: int) -> tuple[list[Tensor], list[Tensor]]:
        """Vectors [B * Q, D] and instances [B * Q] of every layer of the average."""
        _, proposals, decoded = self.average(view.images, view.sizes)
        matches = self.average.losses(proposals, decoded, None, view.targets, view.sizes).decoder
        states = decoded.matching.states
        vectors = [projection(layer).flatten(0, 1) for projection, layer in zip(self.average_projections, states, strict=True)]
        return vectors, [instance_ids(layer, match, first_id) for layer, match in zip(states, matches, strict=True)]


def instance_ids(states: Tensor, matches: Matches, first: int = 0) -> Tensor:
    """[B * Q] object that each query [B, Q, C] is matched with, counted over the batch from `first`, or `BACKGROUND`."""
    ids = torch.full(states.shape[:2], BACKGROUND, device=states.device)
    ids[matches.image, matches.query] = matches.target + first
    return ids.flatten()
