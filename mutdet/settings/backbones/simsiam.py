"""Settings of backbone method `simsiam`."""

from typing import Literal

from pydantic import Field

from mutdet.settings.backbones.self_supervised import SelfSupervisedSettings
from mutdet.settings.base import Fraction


class SimSiamBackboneSettings(SelfSupervisedSettings):
    """SimSiam: predict the other view with the gradient stopped, without a second network (docs/method.md F)."""

    method: Literal["simsiam"] = Field("simsiam", description="SimSiam on the unlabelled tiles.")
    epochs: int | None = Field(100, description="Length of the training in passes over the tiles; null where `iterations` is given.", ge=1)
    min_scale: float = Field(0.2, description="Smallest share of the area of the tile or piece that a crop covers; the largest is 1.", gt=0.0, le=1.0)
    saturation: Fraction = Field(0.4, description="Largest change of the factor on saturation.")
    blur: list[Fraction] = Field([0.5, 0.5], description="Probability of a Gaussian blur, for the first and for the second view.", min_length=2, max_length=2)
    solarize: list[Fraction] = Field([0.0, 0.0], description="Probability that values above one half are inverted, for both views.", min_length=2, max_length=2)
    learning_rate: float = Field(0.05, description="Step size for a batch of 256; scaled in proportion to the batch.", gt=0.0)
    projection_width: int = Field(2048, description="Width of the projector's layers and of projections.", ge=8)
    prediction_hidden: int = Field(512, description="Hidden width of the predictor, whose learning rate stays as it is.", ge=8)
