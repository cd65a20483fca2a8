"""Crops of a tile that segment-anything's generator looks at one by one, the whole tile first."""

from dataclasses import dataclass

from segment_anything.utils.amg import generate_crop_boxes

from mutdet.proposals.mask import Image, Size
from mutdet.settings.proposals.sam_generator import SamSettings


@dataclass(frozen=True)
class Crop:
    """A rectangle of a tile, from (x0, y0) to (x1, y1) exclusive, and the side of its grid of prompts."""

    x0: int
    y0: int
    x1: int
    y1: int
    points_per_side: int

    @property
    def size(self) -> Size:
        """Height and width, pixels."""
        return self.y1 - self.y0, self.x1 - self.x0

    def of(self, image: Image) -> Image:
        """Its part of an image [H, W, 3]."""
        return image[self.y0 : self.y1, self.x0 : self.x1]


def crops_of(size: Size, settings: SamSettings) -> list[Crop]:
    """Crops of a tile of `size` (height, width), in the order of the stock generator."""
    boxes, layers = generate_crop_boxes(size, settings.crop_n_layers, settings.crop_overlap_ratio)
    factor = settings.crop_n_points_downscale_factor
    return [Crop(x0, y0, x1, y1, int(settings.points_per_side / factor**layer)) for (x0, y0, x1, y1), layer in zip(boxes, layers, strict=True)]
