"""Settings of the embedding stage: one vector per pseudo object."""

from pathlib import Path

from pydantic import Field

from mutdet.settings.base import Files, Settings, Variant


class EmbedSettings(Settings):
    """Rotated crop, frozen backbone, mean over the last features (docs/method.md A)."""

    boxes: Variant = Field(description="Variant of the boxes stage.")
    backbone: Variant = Field(description="Variant of the backbone stage.")
    crop: int = Field(224, ge=32, le=1024, description="Side of the square that every box is resampled to, pixels; aspect is not kept.")
    enlarge: float = Field(1.5, ge=1.0, le=4.0, description="Factor on both sides of a box, so that the crop shows some surroundings.")
    batch: int = Field(16, ge=1, description="Crops in one forward pass; bounds memory.")


class EmbedFiles(Files):
    """Compute one embedding for every box of a shard."""

    tiles: Path = Field(description="Table of tiles.")
    boxes: Path = Field(description="Table of boxes of these tiles.")
    backbone: Path = Field(description="Weights of the backbone, safetensors.")
    output: Path = Field(description="Table of embeddings to write.")
