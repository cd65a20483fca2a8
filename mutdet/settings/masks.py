"""Settings and files of stage masks: class-agnostic masks of a tile."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from mutdet.settings.base import Files, Settings
from mutdet.settings.plugins import OneOf
from mutdet.settings.registries import MASK_GENERATORS


class MaskGeneratorSettings(Settings):
    """What the settings of every mask generator have; each narrows `generator` to its own name.

    Attributes:
        uses_gpu: whether the generator has a network, which a GPU would run.
    """

    uses_gpu: ClassVar[bool] = True
    generator: str = Field(description="Mask generator, by its name in the registry.")


MasksSettings = Annotated[MaskGeneratorSettings, OneOf("generator", MASK_GENERATORS)]


class MasksFiles(Files):
    """Find class-agnostic masks in tiles."""

    tiles: Path = Field(description="Table of tiles.")
    output: Path = Field(description="Table of masks to write.")
