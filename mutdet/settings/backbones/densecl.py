"""Settings of backbone method `densecl`."""

from typing import Literal

from pydantic import Field

from mutdet.settings.backbones.mocov2 import MomentumContrastSettings
from mutdet.settings.base import Fraction


class DenseClBackboneSettings(MomentumContrastSettings):
    """DenseCL: MoCo v2 on vectors and on places of the feature map; defaults are those for COCO (docs/method.md F)."""

    method: Literal["densecl"] = Field("densecl", description="DenseCL on the unlabelled tiles.")
    epochs: int | None = Field(800, description="Length of the training in passes over the tiles; null where `iterations` is given.", ge=1)
    learning_rate: float = Field(0.3, description="Step size for a batch of 256; scaled in proportion to the batch.", gt=0.0)
    dense_weight: Fraction = Field(0.5, description="Weight of the loss between places; that between vectors has the rest.")
