"""Settings of the image-domain stage: where the frozen backbone's weights come from."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mutdet.settings.base import Files, Seed, Settings, Variant

Architecture = Literal["resnet18", "resnet50", "resnet101", "swin_t"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]


class _AnyBackboneSettings(Settings):
    architecture: Architecture = Field("resnet50", description="Network, as torchvision names it.")
    datasets: list[Variant] = Field([], description="Data sets whose unlabelled tiles the stage may read; empty takes all.")
    reads_tiles: ClassVar[bool] = False


class ImagenetBackboneSettings(_AnyBackboneSettings):
    """Weights trained on ImageNet (torchvision's IMAGENET1K_V1, those of mmdetection and of the paper)."""

    method: Literal["imagenet"] = Field("imagenet", description="Where the weights come from.")
    weights: Path | None = Field(None, description="Local copy of torchvision's file; none downloads it into torch's cache.")
    sha256: Sha256 | None = Field(None, description="SHA-256 that the local copy must have; none does not check.")


class RandomBackboneSettings(_AnyBackboneSettings):
    """Untrained weights; batch normalisation gets the statistics of some tiles, so that features keep their scale."""

    reads_tiles: ClassVar[bool] = True
    method: Literal["random"] = Field("random", description="Where the weights come from.")
    seed: Seed = Field(0, description="Seed of the weights and of the choice of tiles.")
    calibration_tiles: int = Field(64, ge=1, description="Tiles that the statistics of batch normalisation are taken from.")
    calibration_size: int = Field(224, ge=64, description="Side that these tiles are resized to, pixels.")


class CheckpointBackboneSettings(_AnyBackboneSettings):
    """Weights from a local file: PyTorch state dictionary or safetensors, torchvision's names, common prefixes allowed."""

    method: Literal["checkpoint"] = Field("checkpoint", description="Where the weights come from.")
    weights: Path = Field(description="File: .safetensors, or anything that torch.load opens with weights_only.")
    sha256: Sha256 | None = Field(None, description="SHA-256 that the file must have; none does not check.")


BackboneSettings = Annotated[
    ImagenetBackboneSettings | RandomBackboneSettings | CheckpointBackboneSettings,
    Field(discriminator="method"),
]


class BackboneFiles(Files):
    """Write the weights of the frozen backbone."""

    tiles: list[Path] = Field([], description="Tables of unlabelled tiles; method random reads some of them.")
    output: Path = Field(description="Weights to write, safetensors.")
