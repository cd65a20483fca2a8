"""What the small SAM is measured on, fixed before its training: families of scenes, seeds and counting rules."""

from typing import Literal

from pydantic import Field

from mutdet.settings.base import Fraction, Seed, Settings
from mutdet.settings.scenes import HELD_OUT_FAMILIES, TRAINING_FAMILIES, FamilyName, SceneSettings


class RecallSettings(Settings):
    """Scenes whose objects are looked for among the boxes, and when an object counts as found.

    The held-out measure is this class's defaults: families that no training scene is drawn from, other seeds.
    """

    split: Literal["held-out", "validation"] = Field("held-out", description="Part of the random seed: held-out is measured once, validation tunes thresholds.")
    families: tuple[FamilyName, ...] = Field(HELD_OUT_FAMILIES, min_length=1, description="Families of palettes and textures.")
    seed: Seed = Field(20261120, description="Of the scenes; scene i is drawn by the generator of (seed, 'small_sam', split, i).")
    scenes: int = Field(200, ge=1, description="Scenes, each one tile.")
    size: int = Field(256, ge=64, description="Side of a scene, pixels.")
    min_short_side: float = Field(6.0, ge=0.0, description="Every labelled object counts whose shorter side is at least this, difficult ones too, pixels.")
    iou: Fraction = Field(0.5, description="Rotated IoU with some box, at least, of an object that was found.")
    max_boxes: int = Field(100, ge=1, description="Boxes of highest score that count in a tile.")

    @property
    def scene(self) -> SceneSettings:
        """How each scene is drawn."""
        return SceneSettings(size=self.size, families=list(self.families))


VALIDATION = RecallSettings(split="validation", families=TRAINING_FAMILIES, scenes=40)
"""For choosing thresholds and following the training: the training's families, other seeds."""

FILTERS = {"min_side": 4.0, "max_area_share": 0.25, "min_fill": 0.2, "nms_thresh": 0.7}
"""Filters of boxes of the measure, chosen on the validation scenes: nearly everything stays, so that recall tells what masks there are."""
