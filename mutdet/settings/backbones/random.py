"""Settings of backbone method `random`."""

from typing import ClassVar, Literal

from pydantic import Field

from mutdet.settings.backbone import BackboneMethodSettings
from mutdet.settings.base import Seed


class RandomBackboneSettings(BackboneMethodSettings):
    """Untrained weights; batch normalisation gets the statistics of some tiles, so that features keep their scale."""

    reads_tiles: ClassVar[bool] = True
    method: Literal["random"] = Field("random", description="Untrained weights.")
    seed: Seed = Field(0, description="Seed of the weights and of the choice of tiles.")
    calibration_tiles: int = Field(64, ge=1, description="Tiles that the statistics of batch normalisation are taken from.")
    calibration_size: int = Field(224, ge=64, description="Side that these tiles are resized to, pixels.")
