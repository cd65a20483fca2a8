"""BYOL (Grill et al. 2020): predict what a moving average of the network makes of another view."""

from collections.abc import Sequence

import torch
from lightly.models.modules.heads import BYOLPredictionHead, BYOLProjectionHead
from torch import Tensor

from mutdet.embedding.backbones import Backbone
from mutdet.pretraining.selfsup.cosine_loss import squared_distance
from mutdet.pretraining.selfsup.interface import Comparison, SelfSupervisedMethod
from mutdet.pretraining.selfsup.moving_average import follow, follower, keep_at
from mutdet.settings.backbones.byol import ByolFamilySettings


class Byol(SelfSupervisedMethod):
    """Both views are predicted from the other one; the loss is the sum of both directions (docs/method.md F)."""

    def __init__(self, backbone: Backbone, settings: ByolFamilySettings) -> None:
        super().__init__(backbone, settings)
        hidden, width = settings.projection_hidden, settings.projection_width
        self._settings = settings
        self.projector = BYOLProjectionHead(backbone.width, hidden, width)
        self.predictor = BYOLPredictionHead(width, hidden, width)
        self.target_backbone = follower(backbone)
        self.target_projector = follower(self.projector)

    def compare(self, views: Sequence[Tensor]) -> Comparison:
        """Loss `vector`, in [0, 8]."""
        features = [self.backbone(view).mean(dim=(2, 3)) for view in views]
        predictions = [self.predictor(self.projector(vector)) for vector in features]
        with torch.no_grad():
            targets = [self.target_projector(self.target_backbone(view).mean(dim=(2, 3))) for view in views]
        loss = squared_distance(predictions[0], targets[1]) + squared_distance(predictions[1], targets[0])
        return Comparison({"vector": loss}, features[0].detach())

    def after_step(self, progress: float) -> None:
        """Move the target network."""
        keep = keep_at(progress, self._settings.average_start, self._settings.average_end)
        follow(self.backbone, self.target_backbone, keep)
        follow(self.projector, self.target_projector, keep)
