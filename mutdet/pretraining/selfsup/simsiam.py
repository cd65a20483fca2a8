"""SimSiam (Chen and He 2021), with lightly's heads and loss."""

from collections.abc import Sequence
from typing import ClassVar

from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead
from torch import Tensor

from mutdet.embedding.backbones import Backbone
from mutdet.pretraining.selfsup.cosine_loss import squared_distance
from mutdet.pretraining.selfsup.interface import Comparison, SelfSupervisedMethod
from mutdet.settings.backbones.simsiam import SimSiamBackboneSettings


class SimSiam(SelfSupervisedMethod):
    """Each view's projection is predicted from the other one's; the gradient stops at the projection (docs/method.md F)."""

    constant_rate: ClassVar[tuple[str, ...]] = ("predictor.",)

    def __init__(self, backbone: Backbone, settings: SimSiamBackboneSettings) -> None:
        super().__init__(backbone, settings)
        width = settings.projection_width
        self.projector = SimSiamProjectionHead(backbone.width, width, width)
        self.predictor = SimSiamPredictionHead(width, settings.prediction_hidden, width)

    def compare(self, views: Sequence[Tensor]) -> Comparison:
        """Loss `vector`: SimSiam's mean negative cosine of both directions, in [-1, 1], plus 1."""
        features = [self.backbone(view).mean(dim=(2, 3)) for view in views]
        projections = [self.projector(vector) for vector in features]
        predictions = [self.predictor(projection) for projection in projections]
        both = squared_distance(predictions[0], projections[1]) + squared_distance(predictions[1], projections[0])
        return Comparison({"vector": both / 4.0}, features[0].detach())
