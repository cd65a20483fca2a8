"""Masks of a crop of a tile that may be kept, as tensors on the device, a bit for a pixel."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import batched_nms

from mutdet.proposals.mask import Mask, Region, Size

_BITS = 8


@dataclass(frozen=True)
class Candidates:
    """M masks of a crop of h x w pixels.

    Attributes:
        predicted_iou: [M].
        stability: [M].
        boxes: [M, 4] x0, y0, x1, y1 of outermost pixels, of the crop.
        points: [M, 2] prompts, pixels of the crop.
        bits: [M, h, ceil(w / 8)] uint8 rows of the masks, the first pixel in the lowest bit.
    """

    predicted_iou: Tensor
    stability: Tensor
    boxes: Tensor
    points: Tensor
    bits: Tensor

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """One after the other; at least one part."""
        return cls(*(torch.cat([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))

    def at(self, chosen: Tensor) -> Self:
        """Those of some indices, or of a boolean mask [M]."""
        return type(self)(*(getattr(self, name)[chosen.to(getattr(self, name).device)] for name in self.__dataclass_fields__))

    def without_duplicates(self, threshold: float) -> Self:
        """Those that no horizontal box of a mask of higher predicted IoU overlaps by more than a threshold, as the stock generator does."""
        return self.at(batched_nms(self.boxes.float(), self.predicted_iou, torch.zeros(len(self.boxes)), threshold))

    def on_cpu(self) -> Self:
        """A copy in main memory."""
        return type(self)(*(getattr(self, name).cpu() for name in self.__dataclass_fields__))

    def masks(self, x0: int, y0: int, size: Size) -> list[Mask]:
        """Masks in a tile of `size` (height, width) in which the crop's left upper pixel is (x0, y0); the tensors lie on the CPU."""
        figures = zip(self.boxes.tolist(), self.points.tolist(), self.predicted_iou.tolist(), self.stability.tolist(), self.bits.numpy(), strict=True)
        return [
            Mask(size, _region(bits, box, x0, y0), predicted_iou, stability, (point[0] + x0, point[1] + y0))
            for box, point, predicted_iou, stability, bits in figures
        ]


def packed(masks: Tensor) -> Tensor:
    """[M, h, ceil(w / 8)] uint8 bits of boolean masks [M, h, w]."""
    width = masks.shape[2]
    padded = torch.nn.functional.pad(masks, (0, -width % _BITS)) if width % _BITS else masks
    places = padded.view(torch.uint8).unflatten(2, (-1, _BITS))
    result = places[..., 0].clone()
    for place in range(1, _BITS):
        result |= places[..., place] << place
    return result


def _region(bits: NDArray[np.uint8], box: Sequence[int], x0: int, y0: int) -> Region:
    left, top, right, bottom = box
    rows = np.unpackbits(bits[top : bottom + 1], axis=1, bitorder="little")[:, left : right + 1]
    return Region(left + x0, top + y0, right - left + 1, bottom - top + 1, rows.tobytes())
