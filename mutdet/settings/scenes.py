"""Settings and paths of `scenes`: procedural aerial images with oriented labels."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mutdet.settings.base import Files, Seed, Settings

FamilyName = Literal[
    "temperate", "mediterranean", "nordic", "arid", "tropical", "continental", "coastal", "steppe",
    "alpine", "delta", "savanna",
]  # fmt: skip
TRAINING_FAMILIES: tuple[FamilyName, ...] = ("temperate", "mediterranean", "nordic", "arid", "tropical", "continental", "coastal", "steppe")
"""Families of palettes and textures that the embedded small SAM is trained on."""

HELD_OUT_FAMILIES: tuple[FamilyName, ...] = ("alpine", "delta", "savanna")
"""Families that no embedded weights have seen; the default, so that masks on the demo's scenes are honest."""

IMAGE_ID = re.compile(r"scene_(train|val)_[0-9]{5}")
"""Names that a data set of scenes gives its images, however many there are."""


class SceneSettings(Settings):
    """What one scene looks like."""

    size: int = Field(512, description="Side of the square image, pixels.", ge=64, le=4096)
    families: list[FamilyName] = Field(
        list(HELD_OUT_FAMILIES),
        description="Families of palettes and textures to choose from; the default three are unseen by the embedded small SAM.",
        min_length=1,
    )
    gsd_range: tuple[Annotated[float, Field(ge=0.1, le=2.0)], Annotated[float, Field(ge=0.1, le=2.0)]] = Field(
        (0.2, 0.45), description="Smallest and largest ground sampling distance, metres per pixel; objects that would be thinner than 4.5 pixels are left out."
    )
    density: float = Field(1.0, description="Factor on the number of vehicles, ships and planes that fill their places.", gt=0.0, le=3.0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.gsd_range[0] > self.gsd_range[1]:
            raise ValueError("gsd_range: the smallest distance comes first")
        return self


class ScenesSettings(SceneSettings):
    """A data set of scenes: how many, from which seed."""

    seed: Seed = Field(0, description="Seed of the data set; an image depends on it and its own name alone.")
    train: int = Field(40, description="Number of images of split train.", ge=1, le=100_000)
    val: int = Field(20, description="Number of images of split val.", ge=0, le=100_000)

    def image_ids(self) -> dict[str, list[str]]:
        """Names of the images of each split, without suffix; every one matches `IMAGE_ID`."""
        return {split: [f"scene_{split}_{number:05d}" for number in range(count)] for split, count in (("train", self.train), ("val", self.val))}


class ScenesFiles(Files):
    """Draw procedural aerial images with oriented labels."""

    output: Path = Field(description="Folder that receives images/<image id>.png, labelTxt/<image id>.txt, train.txt and val.txt.")
