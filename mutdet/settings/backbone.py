"""Settings and files of the stage `backbone`: where the frozen backbone's weights come from."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mutdet.settings.base import Files, Settings, Variant
from mutdet.settings.plugins import OneOf
from mutdet.settings.registries import BACKBONE_METHODS

Architecture = Literal["resnet18", "resnet50", "resnet101", "swin_t"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]


class BackboneMethodSettings(Settings):
    """What the settings of every method have; each narrows `method` to its own name.

    Attributes:
        reads_tiles: whether tiles decide the weights.
        trains: whether the method leaves a log table and a state to resume from.
    """

    reads_tiles: ClassVar[bool] = False
    trains: ClassVar[bool] = False
    method: str = Field(description="Where the weights come from, by its name in the registry.")
    architecture: Architecture = Field("resnet50", description="Network, as torchvision names it.")
    datasets: list[Variant] = Field([], description="Data sets whose unlabelled tiles the stage may read; empty takes all.")


BackboneSettings = Annotated[BackboneMethodSettings, OneOf("method", BACKBONE_METHODS)]


class BackboneFiles(Files):
    """Write the weights of the frozen backbone."""

    written = ("output", "log")

    tiles: list[Path] = Field([], description="Tables of unlabelled tiles; methods that take their weights from a file read none.")
    probe: list[Path] = Field([], description="Tables of labelled tiles for the figure that `probe_dataset` asks for; changes no weight.")
    output: Path = Field(description="Weights to write, safetensors.")
    log: Path | None = Field(None, description="Log table (log.parquet) of a method that trains.")
    state: Path | None = Field(None, description="Folder that keeps checkpoints to resume from, of a method that trains.")
