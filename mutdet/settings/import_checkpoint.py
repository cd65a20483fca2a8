"""Settings of command import_checkpoint: a released checkpoint as a detector of ours."""

from pathlib import Path

from pydantic import Field

from mutdet.settings.base import Files, Settings


class ImportCheckpointSettings(Settings):
    """What a released checkpoint does not always say."""

    categories: list[str] = Field(
        [], description="Names of the classes in the checkpoint's order; by default those in its metadata, else class_0, class_1, ..."
    )


class ImportCheckpointFiles(Files):
    """Read a released ARS-DETR or MutDet checkpoint (mmrotate's names) into a detector."""

    checkpoint: Path = Field(description="Released checkpoint, .pth or .safetensors; nothing in it is executed.")
    output: Path = Field(description="Detector to write, safetensors; <output>.json beside it lists every tensor taken, left and missing.")
