"""MoCo v2 (Chen et al. 2020), with lightly's head and loss."""

from collections.abc import Sequence

import torch
from lightly.loss.ntx_ent_loss import NTXentLoss
from lightly.models.modules.heads import MoCoProjectionHead
from torch import Tensor

from mutdet.embedding.backbones import Backbone
from mutdet.pretraining.selfsup.interface import Comparison, SelfSupervisedMethod
from mutdet.pretraining.selfsup.key_queue import persistent_bank
from mutdet.pretraining.selfsup.moving_average import follow, follower
from mutdet.settings.backbones.mocov2 import MocoV2BackboneSettings


class MocoV2(SelfSupervisedMethod):
    """The first view's query is told from the second view's key among a queue of earlier keys (docs/method.md F)."""

    def __init__(self, backbone: Backbone, settings: MocoV2BackboneSettings) -> None:
        super().__init__(backbone, settings)
        self._keep = settings.average
        self.projector = MoCoProjectionHead(backbone.width, settings.projection_hidden, settings.projection_width)
        self.key_backbone = follower(backbone)
        self.key_projector = follower(self.projector)
        self.contrast = NTXentLoss(settings.temperature, (settings.queue, settings.projection_width))
        persistent_bank(self.contrast.memory_bank)

    def compare(self, views: Sequence[Tensor]) -> Comparison:
        """Loss `vector`: cross-entropy in nats."""
        features = self.backbone(views[0]).mean(dim=(2, 3))
        with torch.no_grad():
            keys = self.key_projector(self.key_backbone(views[1]).mean(dim=(2, 3)))
        with torch.autocast(features.device.type, enabled=False):
            loss = self.contrast(self.projector(features.float()), keys.float())
        return Comparison({"vector": loss}, features.detach())

    def after_step(self, progress: float) -> None:
        """Move the key network."""
        follow(self.backbone, self.key_backbone, self._keep)
        follow(self.projector, self.key_projector, self._keep)
