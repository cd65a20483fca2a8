"""Settings and files of stage masks_and_boxes: boxes of tiles whose masks are not kept."""

from pathlib import Path

from pydantic import Field

from mutdet.settings.base import Files
from mutdet.settings.boxes import BoxFilterSettings
from mutdet.settings.masks import MasksSettings


class MasksAndBoxesSettings(BoxFilterSettings):
    """A mask generator, and filters of the boxes."""

    masks: MasksSettings = Field(description="Settings of stage masks, as a mapping.")

    @property
    def uses_gpu(self) -> bool:
        """Whether the mask generator has a network."""
        return self.masks.uses_gpu

    @property
    def weights_file(self) -> Path | None:
        """Weights that the mask generator loads."""
        return getattr(self.masks, "weights_file", None)


class MasksAndBoxesFiles(Files):
    """Find masks in tiles and turn them into rotated boxes, without a table of masks."""

    tiles: Path = Field(description="Table of tiles.")
    output: Path = Field(description="Table of boxes to write.")
