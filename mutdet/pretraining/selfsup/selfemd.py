"""Self-EMD (Liu et al. 2020): BYOL on vectors and, by the earth mover's distance, on feature maps."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mutdet.embedding.backbones import Backbone
from mutdet.pretraining.selfsup.byol import Byol
from mutdet.pretraining.selfsup.cosine_loss import squared_distance
from mutdet.pretraining.selfsup.interface import Comparison
from mutdet.pretraining.selfsup.map_distance import map_nodes, marginal_weights, transport_distance, uniform_weights
from mutdet.pretraining.selfsup.moving_average import follow, follower, keep_at
from mutdet.settings.backbones.selfemd import SelfEmdBackboneSettings


class Embedding(NamedTuple):
    """What a network makes of a view: a vector [B, C] and a map [B, C, H, W]."""

    vector: Tensor
    places: Tensor


def map_head(channels: int, hidden: int, width: int) -> nn.Sequential:
    """BYOL's head with 1 x 1 convolutions in place of linear layers."""
    return nn.Sequential(nn.Conv2d(channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU(inplace=True), nn.Conv2d(hidden, width, 1))


class SelfEmd(Byol):
    """A projector and a predictor for maps beside BYOL's for vectors.

    Each view's map predicts the other view's; nodes are the map's places and its poolings. A third, smaller view is seen by
    the trained network alone and predicts both targets, its places against theirs without poolings. The sum over pairs of
    views is scaled to two directions, so that a third view does not change the step size (docs/method.md F).
    """

    def __init__(self, backbone: Backbone, settings: SelfEmdBackboneSettings) -> None:
        super().__init__(backbone, settings)
        hidden, width = settings.projection_hidden, settings.projection_width
        self._emd = settings
        self.map_projector = map_head(backbone.width, hidden, width)
        self.map_predictor = map_head(width, hidden, width)
        self.target_map_projector = follower(self.map_projector)

    def compare(self, views: Sequence[Tensor]) -> Comparison:
        """Losses `vector` and `transport`, each in [0, 8] times its weight."""
        features = [self.backbone(view) for view in views]
        predictions = [self._prediction(found) for found in features]
        with torch.no_grad():
            targets = [self._target(view) for view in views[:2]]
        vector, transport = zip(*self._pairs(predictions, targets), strict=True)
        settings = self._emd
        losses: Mapping[str, Tensor] = {
            "vector": 2.0 * settings.vector_weight * torch.stack(vector).mean(),
            "transport": 2.0 * settings.transport_weight * torch.stack(transport).mean(),
        }
        return Comparison(losses, features[0].detach().mean(dim=(2, 3)))

    def _prediction(self, features: Tensor) -> Embedding:
        vector = self.predictor(self.projector(features.mean(dim=(2, 3))))
        return Embedding(vector.float(), self.map_predictor(self.map_projector(features)).float())

    def _target(self, view: Tensor) -> Embedding:
        features = self.target_backbone(view)
        return Embedding(self.target_projector(features.mean(dim=(2, 3))).float(), self.target_map_projector(features).float())

    def _pairs(self, predictions: Sequence[Embedding], targets: Sequence[Embedding]) -> list[tuple[Tensor, Tensor]]:
        """Losses of vectors and of maps for every prediction and every target of another view."""
        found = []
        for number, prediction in enumerate(predictions):
            strides = self._emd.pyramid_strides if number < 2 else []
            for other, target in enumerate(targets):
                if other != number:
                    found.append((squared_distance(prediction.vector, target.vector), self._transport(prediction, target, strides)))
        return found

    def _transport(self, prediction: Embedding, target: Embedding, strides: Sequence[int]) -> Tensor:
        settings = self._emd
        nodes, targets = map_nodes(prediction.places, strides), map_nodes(target.places, strides)
        with torch.no_grad(), torch.autocast(nodes.device.type, enabled=False):
            rows, columns = self._marginals(nodes, targets, prediction.vector, target.vector)
        with torch.autocast(nodes.device.type, enabled=False):
            return transport_distance(nodes, targets, rows, columns, settings.sharpness, settings.transport_iterations)

    def _marginals(self, nodes: Tensor, targets: Tensor, vector: Tensor, target_vector: Tensor) -> tuple[Tensor, Tensor]:
        if self._emd.marginals == "uniform":
            return uniform_weights(nodes), uniform_weights(targets)
        if self._emd.marginals == "mean":
            return marginal_weights(nodes, targets.mean(dim=1)), marginal_weights(targets, nodes.mean(dim=1))
        return marginal_weights(nodes, target_vector), marginal_weights(targets, vector)

    def after_step(self, progress: float) -> None:
        """Move the target network and both its projectors."""
        super().after_step(progress)
        follow(self.map_projector, self.target_map_projector, keep_at(progress, self._emd.average_start, self._emd.average_end))
