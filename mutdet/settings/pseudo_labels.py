"""Settings of the stage that writes the training targets of pre-training."""

from pathlib import Path

from pydantic import Field

from mutdet.settings.base import Files, Settings


class PseudoLabelsSettings(Settings):
    """Join of boxes and projected embeddings."""

    rows: int = Field(4096, ge=1, description="Objects held in memory at a time.")


class PseudoLabelsFiles(Files):
    """Give every embedded box its pseudo-class and its unit embedding."""

    boxes: Path = Field(description="Table of boxes of a shard.")
    embeddings: Path = Field(description="Table of embeddings of the same boxes.")
    codebook: Path = Field(description="Codebook, safetensors.")
    output: Path = Field(description="Table of pseudo labels to write.")
