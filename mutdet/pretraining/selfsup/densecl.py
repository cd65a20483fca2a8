"""DenseCL (Wang et al. 2021), with lightly's heads, loss and matching of places."""

from collections.abc import Sequence

import torch
from lightly.loss.ntx_ent_loss import NTXentLoss
from lightly.models.modules.heads import DenseCLProjectionHead
from lightly.models.utils import select_most_similar
from torch import Tensor
from torch.nn import functional as F
from torch.nn.functional import normalize

from mutdet.embedding.backbones import Backbone
from mutdet.pretraining.selfsup.interface import Comparison, SelfSupervisedMethod
from mutdet.pretraining.selfsup.key_queue import KeyQueue, persistent_bank
from mutdet.pretraining.selfsup.map_distance import map_nodes
from mutdet.pretraining.selfsup.moving_average import follow, follower
from mutdet.settings.backbones.densecl import DenseClBackboneSettings


class DenseCl(SelfSupervisedMethod):
    """MoCo v2 on pooled features and, place by place, on the map (docs/method.md F).

    A place's positive key is that of the place of the other view whose backbone features are most like its own; its negatives
    are mean keys of earlier tiles' maps.
    """

    def __init__(self, backbone: Backbone, settings: DenseClBackboneSettings) -> None:
        super().__init__(backbone, settings)
        shape = (backbone.width, settings.projection_hidden, settings.projection_width)
        self._settings = settings
        self.projector, self.place_projector = DenseCLProjectionHead(*shape), DenseCLProjectionHead(*shape)
        self.key_backbone = follower(backbone)
        self.key_projector, self.key_place_projector = follower(self.projector), follower(self.place_projector)
        self.contrast = NTXentLoss(settings.temperature, (settings.queue, settings.projection_width))
        persistent_bank(self.contrast.memory_bank)
        self.place_queue = KeyQueue(settings.queue, settings.projection_width)

    def compare(self, views: Sequence[Tensor]) -> Comparison:
        """Losses `vector` and `dense`: cross-entropies in nats times their weights."""
        places = map_nodes(self.backbone(views[0]).float())
        with torch.no_grad():
            key_places = map_nodes(self.key_backbone(views[1]).float())
        weight = self._settings.dense_weight
        with torch.autocast(places.device.type, enabled=False):
            with torch.no_grad():
                keys = self.key_projector(key_places.mean(dim=1))
            vector = self.contrast(self.projector(places.mean(dim=1)), keys)
            losses = {"vector": (1.0 - weight) * vector, "dense": weight * self._dense(places, key_places)}
        return Comparison(losses, places.detach().mean(dim=1))

    def _dense(self, places: Tensor, key_places: Tensor) -> Tensor:
        with torch.no_grad():
            keys = self.key_place_projector(key_places)
            positives = select_most_similar(places, key_places, normalize(keys, dim=-1))
            negatives = self.place_queue.exchange(normalize(keys.mean(dim=1), dim=-1))
        queries = normalize(self.place_projector(places), dim=-1).flatten(0, 1)
        positive = (queries * positives.flatten(0, 1)).sum(dim=-1, keepdim=True)
        logits = torch.cat([positive, queries @ negatives], dim=1) / self._settings.temperature
        return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.int64))

    def after_step(self, progress: float) -> None:
        """Move the key network and both its heads."""
        pairs = [(self.backbone, self.key_backbone), (self.projector, self.key_projector), (self.place_projector, self.key_place_projector)]
        for network, average in pairs:
            follow(network, average, self._settings.average)
