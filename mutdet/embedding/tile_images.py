"""Pixels of a tile, as networks want them."""

import cv2
import numpy as np
import torch
from torch import Tensor

from mutdet.settings.errors import UserError

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)


def decode_image(encoded: bytes, tile_id: str) -> np.ndarray:
    """[H, W, 3] uint8 RGB pixels of an encoded tile.

    Raises:
        UserError: the bytes are no image.
    """
    buffer = np.frombuffer(encoded, np.uint8)
    image = cv2.imdecode(buffer, cv2.IMREAD_COLOR_RGB) if buffer.size else None
    if image is None:
        raise UserError("image bytes do not decode", record=tile_id, remedy="run partition again")
    return image


def normalised(image: np.ndarray) -> Tensor:
    """[3, H, W] float32 of [H, W, 3] uint8 RGB pixels, with ImageNet's mean and deviation removed."""
    pixels = torch.from_numpy(image).permute(2, 0, 1).float()
    return ((pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)).contiguous()
