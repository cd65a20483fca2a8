"""Settings of backbone method `byol`."""

from typing import Literal

from pydantic import Field

from mutdet.settings.backbones.self_supervised import SelfSupervisedSettings
from mutdet.settings.base import Fraction


class ByolFamilySettings(SelfSupervisedSettings):
    """Heads and moving average of BYOL, and of what is built on it."""

    projection_hidden: int = Field(4096, description="Hidden width of projectors and predictors.", ge=8)
    projection_width: int = Field(256, description="Width of projections.", ge=8)
    average_start: Fraction = Field(0.996, description="Share of the target network's weights that a step keeps, at the start.")
    average_end: Fraction = Field(1.0, description="The same at the end; in between it follows a cosine.")


class ByolBackboneSettings(ByolFamilySettings):
    """BYOL: predict a moving average's view of the same tile; defaults are those for 1000 epochs (docs/method.md F)."""

    method: Literal["byol"] = Field("byol", description="BYOL on the unlabelled tiles.")
    epochs: int | None = Field(1000, description="Length of the training in passes over the tiles; null where `iterations` is given.", ge=1)
    optimiser: Literal["lars", "sgd", "adamw"] = Field("lars", description="LARS and SGD with momentum, or AdamW.")
    weight_decay: float = Field(1.5e-6, description="Weight decay.", ge=0.0)
    decayed: Literal["all", "weights"] = Field("weights", description="What decays: all parameters, or all but biases and those of normalisation.")
    warmup_epochs: float = Field(
        10.0, description="Passes over the tiles in which the learning rate rises from 0, but at most a tenth of the training.", ge=0.0
    )
