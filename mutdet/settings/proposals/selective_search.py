"""Settings of mask generator `selective_search`."""

from typing import ClassVar, Literal

from pydantic import Field

from mutdet.settings.base import Seed
from mutdet.settings.masks import MaskGeneratorSettings


class SelectiveSearchSettings(MaskGeneratorSettings):
    """Selective search (Uijlings et al., IJCV 2013): horizontal boxes of segments merged from fine to coarse."""

    uses_gpu: ClassVar[bool] = False
    generator: Literal["selective_search"] = Field("selective_search", description="Selective search, as DETReg and AlignDet use it.")
    strategy: Literal["fast", "quality"] = Field("fast", description="Colour spaces and merging strategies that are tried: some, or all.")
    base_k: int = Field(150, ge=1, description="Size of the first segments: larger k, larger segments.")
    step_k: int = Field(150, ge=1, description="Step to the next k.")
    sigma: float = Field(0.8, ge=0.0, description="Smoothing before the first segmentation, pixels.")
    resize: int | None = Field(None, ge=16, description="Longest side that a larger tile is reduced to before the search, pixels; none: as it is.")
    min_side: int = Field(4, ge=1, description="Shorter side of the smallest box, tile pixels.")
    max_proposals: int | None = Field(300, ge=1, description="Boxes kept for a tile, in the search's own ranking; none: all.")
    seed: Seed = Field(0, description="Of the ranking, which is random as in the paper: place in the hierarchy times a random number.")
