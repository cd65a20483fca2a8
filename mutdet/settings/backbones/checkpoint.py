"""Settings of backbone method `checkpoint`."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from mutdet.settings.backbone import BackboneMethodSettings, Sha256


class CheckpointBackboneSettings(BackboneMethodSettings):
    """Weights from a local file: PyTorch state dictionary or safetensors, torchvision's names, common prefixes allowed."""

    method: Literal["checkpoint"] = Field("checkpoint", description="Weights from a local file.")
    weights: Path = Field(description="File: .safetensors, or anything that torch.load opens with weights_only.")
    sha256: Sha256 | None = Field(None, description="SHA-256 that the file must have; none does not check.")
