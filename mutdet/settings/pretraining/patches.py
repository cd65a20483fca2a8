"""Settings of image patches that frozen features are taken from."""

from typing import Self

from pydantic import Field, model_validator

from mutdet.settings.base import Fraction, Settings


class PatchSettings(Settings):
    """Size and colours of patches; defaults are DETReg's, which UP-DETR shares."""

    patch_size: int = Field(128, description="Side of the square that every box is resampled to, pixels; aspect is not kept.", ge=32, le=1024)
    patch_jitter: Fraction = Field(0.8, description="Probability that a patch's colours are jittered.")
    patch_brightness: Fraction = Field(0.4, description="Largest change of the factor on brightness, and on contrast and saturation.")
    patch_hue: float = Field(0.1, description="Largest turn of the hue, as a share of the whole circle.", ge=0.0, le=0.5)
    patch_grey: Fraction = Field(0.2, description="Probability that a patch becomes grey.")
    patch_blur: Fraction = Field(0.5, description="Probability of a Gaussian blur.")
    patch_blur_sigma: list[float] = Field([0.1, 2.0], description="Smallest and largest deviation of the blur, pixels.", min_length=2, max_length=2)

    @model_validator(mode="after")
    def _blur_is_a_range(self) -> Self:
        if not 0.0 < self.patch_blur_sigma[0] <= self.patch_blur_sigma[1]:
            raise ValueError(f"patch_blur_sigma {self.patch_blur_sigma} must be two rising numbers above 0")
        return self
