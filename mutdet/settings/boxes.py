"""Settings of stage boxes: rotated boxes of masks."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from mutdet.settings.base import Files, Fraction, Settings, Variant


class BoxFilterSettings(Settings):
    """Filters of the boxes; a dropped box counts for the first filter, in the order of the fields, that it fails."""

    min_side: float = Field(2.0, ge=0.0, description="Length of the shorter side at least, tile pixels.")
    min_area_share: Fraction = Field(0.0, description="Area of the box at least, share of the tile.")
    max_area_share: float = Field(0.8, gt=0.0, description="Area of the box at most, share of the tile; without such a limit masks of whole tiles stay.")
    min_fill: Fraction = Field(0.0, description="Pixels of the mask at least, share of the box.")
    min_score: Fraction = Field(0.0, description="Predicted IoU times stability score at least.")
    nms_thresh: Fraction | None = Field(None, description="A box goes whose rotated IoU with one of higher score is greater; none: no suppression.")
    max_per_tile: int | None = Field(None, ge=1, description="Boxes of highest score kept for a tile; none: all.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.min_area_share > self.max_area_share:
            raise ValueError(f"min_area_share {self.min_area_share} is greater than max_area_share {self.max_area_share}: no box can pass")
        return self


class BoxesSettings(BoxFilterSettings):
    """Boxes of a variant of masks; a dropped box counts for the first filter, in the order of the fields, that it fails."""

    masks: Variant = Field(description="Variant of stage masks.")
    keep_masks: bool = Field(
        True, description="Whether the masks are written to a table of their own; if not, one job makes masks and boxes, and the report shows no masks."
    )


class BoxesFiles(Files):
    """Turn masks into rotated boxes."""

    masks: Path = Field(description="Table of masks.")
    output: Path = Field(description="Table of boxes to write.")
