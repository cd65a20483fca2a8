"""A mask as the generators hand it on, and what every generator offers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Mask:
    """One mask of a tile of `size` (height, width); fields as in the table of masks."""

    size: tuple[int, int]
    counts: bytes
    area: int
    bbox: tuple[float, float, float, float]
    predicted_iou: float
    stability_score: float
    point: tuple[float, float]


class MaskGenerator(Protocol):
    """Finds the masks of a tile; the same image and id give the same masks, whatever came before."""

    def generate(self, image: Image, tile_id: str) -> list[Mask]:
        """Masks of an RGB image [H, W, 3]; none is empty."""


def encode_masks(masks: NDArray[np.uint8]) -> list[bytes]:
    """COCO run-length codes of masks [H, W, M] of zeros and ones; column-major memory is read without a copy."""
    if masks.shape[2] == 0:
        return []
    return [code["counts"] for code in coco.encode(np.asfortranarray(masks))]


def area_of(size: Iterable[int], counts: bytes) -> int:
    """Pixels of a mask given by its COCO run-length code."""
    return int(coco.area({"size": list(size), "counts": counts}))


def bounds_of(size: Iterable[int], counts: bytes) -> tuple[int, int, int, int]:
    """x, y, width and height of the pixels of a mask given by its COCO run-length code; zeros for an empty one."""
    x, y, width, height = map(int, coco.toBbox({"size": list(size), "counts": counts}))
    return x, y, width, height


def decode_mask(size: Iterable[int], counts: bytes) -> NDArray[np.uint8]:
    """Mask [H, W] of zeros and ones from its COCO run-length code.

    Raises:
        ValueError: the code does not fit the size.
    """
    decoded: Any = coco.decode({"size": list(size), "counts": counts})
    return decoded


def ordered(masks: Iterable[Mask], limit: int | None = None) -> list[Mask]:
    """Masks by falling predicted IoU, equal ones from top to bottom and left to right; the first `limit` of them."""
    found = sorted(masks, key=lambda mask: (-mask.predicted_iou, mask.bbox[1], mask.bbox[0], mask.point[1], mask.point[0], -mask.area, mask.counts))
    return found[:limit]
