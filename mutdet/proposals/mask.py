"""A mask as the generators hand it on, and what every generator offers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

Image = NDArray[np.uint8]
Size = tuple[int, int]


@dataclass(frozen=True)
class Region:
    """Pixels of a mask: its horizontal box in pixels of the tile, and a byte, 0 or 1, for each pixel of the box, row by row."""

    x: int
    y: int
    width: int
    height: int
    pixels: bytes

    @classmethod
    def of(cls, plane: NDArray[np.uint8]) -> Self:
        """Region of a mask [H, W] of zeros and ones; without width where there are only zeros."""
        x, y, width, height = cv2.boundingRect(plane)
        return cls(x, y, width, height, plane[y : y + height, x : x + width].tobytes())

    @classmethod
    def decoded(cls, size: Iterable[int], counts: bytes) -> Self:
        """Region of a COCO run-length code.

        Raises:
            ValueError: the code does not fit the size.
        """
        plane = decode_mask(size, counts)
        x, y, width, height = map(int, coco.toBbox({"size": list(size), "counts": counts}))
        return cls(x, y, width, height, plane[y : y + height, x : x + width].tobytes())

    def array(self) -> NDArray[np.uint8]:
        """[height, width] zeros and ones."""
        return np.frombuffer(self.pixels, np.uint8).reshape(self.height, self.width)

    def coded(self, size: Size) -> bytes:
        """COCO run-length code of the mask in a tile of `size` (height, width)."""
        columns = np.zeros((self.width, size[0]), np.uint8)
        columns[:, self.y : self.y + self.height] = self.array().T
        changes = np.flatnonzero(np.diff(columns.ravel(), prepend=0, append=0)) + self.x * size[0]
        runs = np.trim_zeros(np.diff(changes, prepend=0, append=size[0] * size[1]), "b")
        code: bytes = coco.frPyObjects({"size": list(size), "counts": runs.tolist()}, *size)["counts"]
        return code


@dataclass(frozen=True)
class Mask:
    """One mask of a tile of `size` (height, width); `point` is the prompt's x and y, the figures are float32 as in the table of masks."""

    size: Size
    region: Region
    predicted_iou: float
    stability_score: float
    point: tuple[float, float]

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(self.region.array().sum())

    @property
    def bbox(self) -> tuple[int, int, int, int]:
        """Horizontal box x, y, w, h through the corners' pixels, as segment-anything gives it."""
        region = self.region
        return region.x, region.y, region.width - 1, region.height - 1

    @property
    def counts(self) -> bytes:
        """COCO run-length code."""
        return self.region.coded(self.size)

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> Self:
        """Mask of a row of the table of masks.

        Raises:
            ValueError: the code does not fit the size.
        """
        height, width = row["size"]
        x, y = row["point"]
        return cls((height, width), Region.decoded((height, width), row["counts"]), row["predicted_iou"], row["stability_score"], (x, y))

    def row(self) -> dict[str, Any]:
        """Columns of the table of masks but for the ids."""
        names = ("size", "counts", "area", "bbox", "predicted_iou", "stability_score", "point")
        return {name: getattr(self, name) for name in names}


Finish = Callable[[], list[Mask]]


class MaskGenerator(Protocol):
    """Finds the masks of tiles; the same images and ids give the same masks, whatever came before.

    Attributes:
        tiles_per_batch: how many tiles it works on best at a time.
    """

    tiles_per_batch: int

    def search(self, images: Sequence[Image], tile_ids: Sequence[str]) -> list[Finish]:
        """Do the network's part of RGB images [H, W, 3].

        Each function returned does the rest of one image, on the CPU, in any thread; no mask is empty.
        """


def masks_of(generator: MaskGenerator, image: Image, tile_id: str) -> list[Mask]:
    """Masks of one RGB image [H, W, 3]."""
    return generator.search([image], [tile_id])[0]()


def as_stored(value: float) -> float:
    """The value as a float32 column gives it back."""
    return float(np.float32(value))


def decode_mask(size: Iterable[int], counts: bytes) -> NDArray[np.uint8]:
    """Mask [H, W] of zeros and ones from its COCO run-length code.

    Raises:
        ValueError: the code does not fit the size.
    """
    decoded: Any = coco.decode({"size": list(size), "counts": counts})
    return decoded


def ordered(masks: Iterable[Mask], limit: int | None = None) -> list[Mask]:
    """Masks by falling predicted IoU, equal ones from top to bottom and left to right; the first `limit` of them."""
    found = sorted(masks, key=lambda mask: (-mask.predicted_iou, mask.bbox[1], mask.bbox[0], mask.point[1], mask.point[0], -mask.area, mask.region.pixels))
    return found[:limit]
