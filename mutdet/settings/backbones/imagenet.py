"""Settings of backbone method `imagenet`."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from mutdet.settings.backbone import BackboneMethodSettings, Sha256


class ImagenetBackboneSettings(BackboneMethodSettings):
    """Weights trained on ImageNet (torchvision's IMAGENET1K_V1, those of mmdetection and of the paper)."""

    method: Literal["imagenet"] = Field("imagenet", description="Weights trained on ImageNet.")
    weights: Path | None = Field(None, description="Local copy of torchvision's file; none downloads it into torch's cache.")
    sha256: Sha256 | None = Field(None, description="SHA-256 that the local copy must have; none does not check.")
