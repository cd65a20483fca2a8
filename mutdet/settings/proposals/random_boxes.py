"""Settings of mask generator `random`."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from mutdet.settings.base import Seed
from mutdet.settings.masks import MaskGeneratorSettings


class RandomBoxesSettings(MaskGeneratorSettings):
    """Random rotated rectangles, whatever the image shows: the weakest source of proposals, for comparison."""

    uses_gpu: ClassVar[bool] = False
    generator: Literal["random"] = Field("random", description="Random rectangles.")
    count: int = Field(30, ge=0, description="Rectangles of every tile.")
    shortest: float = Field(8.0, ge=4.0, description="Shortest side, tile pixels.")
    longest: float = Field(200.0, ge=4.0, description="Longest side, tile pixels; a rectangle that fits nowhere is scaled down.")
    seed: Seed = Field(0, description="Of the rectangles, together with the tile's id.")

    @model_validator(mode="after")
    def _sides_rise(self) -> Self:
        if self.shortest > self.longest:
            raise ValueError(f"shortest {self.shortest} is greater than longest {self.longest}")
        return self
