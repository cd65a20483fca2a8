"""Settings of backbone method `mocov2`."""

from typing import Literal

from pydantic import Field

from mutdet.settings.backbones.self_supervised import SelfSupervisedSettings
from mutdet.settings.base import Fraction


class MomentumContrastSettings(SelfSupervisedSettings):
    """Views, heads and queue of momentum contrast."""

    min_scale: float = Field(0.2, description="Smallest share of the area of the tile or piece that a crop covers; the largest is 1.", gt=0.0, le=1.0)
    saturation: Fraction = Field(0.4, description="Largest change of the factor on saturation.")
    blur: list[Fraction] = Field([0.5, 0.5], description="Probability of a Gaussian blur, for the first and for the second view.", min_length=2, max_length=2)
    solarize: list[Fraction] = Field([0.0, 0.0], description="Probability that values above one half are inverted, for both views.", min_length=2, max_length=2)
    projection_hidden: int = Field(2048, description="Hidden width of the heads.", ge=8)
    projection_width: int = Field(128, description="Width of projections.", ge=8)
    queue: int = Field(65536, description="Keys of earlier batches that serve as negatives.", ge=1)
    temperature: float = Field(0.2, description="Temperature of the contrast.", gt=0.0)
    average: Fraction = Field(0.999, description="Share of the key network's weights that a step keeps.")


class MocoV2BackboneSettings(MomentumContrastSettings):
    """MoCo v2: tell a view's key from those of other tiles (docs/method.md F)."""

    method: Literal["mocov2"] = Field("mocov2", description="MoCo v2 on the unlabelled tiles.")
    epochs: int | None = Field(200, description="Length of the training in passes over the tiles; null where `iterations` is given.", ge=1)
    learning_rate: float = Field(0.03, description="Step size for a batch of 256; scaled in proportion to the batch.", gt=0.0)
