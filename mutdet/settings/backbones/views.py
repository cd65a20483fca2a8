"""Settings of the augmented views that self-supervised methods compare."""

from typing import Self

from pydantic import Field, model_validator

from mutdet.settings.base import Fraction, Settings


class ViewSettings(Settings):
    """Two views of a tile: crop, flips, colours, blur; defaults are BYOL's (docs/method.md F)."""

    region_size: int = Field(
        0,
        description="Side of the random square piece of a tile that all its views are cut from, pixels; 0 takes the whole tile. "
        "A piece a few objects wide makes views overlap, in tiles that hold many objects.",
        ge=0,
    )
    crop_size: int = Field(
        224, description="Side of the views, pixels; what is cut out of a tile is resized to it, enlarged where the tile is smaller.", ge=32, le=1024
    )
    min_scale: float = Field(0.08, description="Smallest share of the area of the tile or piece that a crop covers; the largest is 1.", gt=0.0, le=1.0)
    max_aspect: float = Field(4 / 3, description="Largest ratio of the crop's sides, either way, before it is resized to a square.", ge=1.0)
    flip_horizontal: Fraction = Field(0.5, description="Probability of a left-right flip of a view.")
    flip_vertical: Fraction = Field(0.0, description="Probability of an up-down flip of a view; images from above have no upright side.")
    quarter_turn: Fraction = Field(0.0, description="Probability that a view is turned by 90 degrees.")
    jitter: Fraction = Field(0.8, description="Probability that colours are jittered.")
    brightness: Fraction = Field(0.4, description="Largest change of the factor on brightness.")
    contrast: Fraction = Field(0.4, description="Largest change of the factor on contrast.")
    saturation: Fraction = Field(0.2, description="Largest change of the factor on saturation.")
    hue: float = Field(0.1, description="Largest turn of the hue, as a share of the whole circle.", ge=0.0, le=0.5)
    grey: Fraction = Field(0.2, description="Probability that a view becomes grey.")
    blur: list[Fraction] = Field([1.0, 0.1], description="Probability of a Gaussian blur, for the first and for the second view.", min_length=2, max_length=2)
    blur_kernel: int = Field(23, description="Side of the blur's kernel, pixels, odd.", ge=1, le=127)
    blur_sigma: list[float] = Field([0.1, 2.0], description="Smallest and largest deviation of the blur, pixels.", min_length=2, max_length=2)
    solarize: list[Fraction] = Field([0.0, 0.2], description="Probability that values above one half are inverted, for both views.", min_length=2, max_length=2)

    @model_validator(mode="after")
    def _blur_is_possible(self) -> Self:
        if self.blur_kernel % 2 == 0:
            raise ValueError(f"blur_kernel {self.blur_kernel} must be odd")
        if self.blur_kernel // 2 >= min(self.view_sizes()):
            raise ValueError(f"blur_kernel {self.blur_kernel} is too large for views of {min(self.view_sizes())} px")
        if not 0.0 < self.blur_sigma[0] <= self.blur_sigma[1]:
            raise ValueError(f"blur_sigma {self.blur_sigma} must be two positive numbers, the smaller one first")
        return self

    def view_sizes(self) -> list[int]:
        """Side of every view of a tile, pixels; from the third view on, probabilities are those of the first."""
        return [self.crop_size, self.crop_size]
