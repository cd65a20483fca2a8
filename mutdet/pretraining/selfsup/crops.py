"""Which part of a tile a view shows: random crop, flips, quarter turn."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as F

from mutdet.settings.backbones.views import ViewSettings

_TRIES = 10


@dataclass(frozen=True)
class Crop:
    """A window of a tile and how it is turned.

    Attributes:
        left: of the window, pixels of the tile.
        top: likewise.
        width: likewise, at least 1.
        height: likewise, at least 1.
        mirrored: left-right.
        upside_down: up-down.
        turned: by 90 degrees.
    """

    left: int
    top: int
    width: int
    height: int
    mirrored: bool
    upside_down: bool
    turned: bool


def draw_region(generator: np.random.Generator, image: Tensor, size: int) -> Tensor:
    """Random square piece [3, size, size] of a tile [3, H, W]; the whole extent along a side that is no longer than `size`, or where it is 0."""
    height, width = image.shape[1:]
    h, w = (min(size or side, side) for side in (height, width))
    top, left = int(generator.integers(height - h + 1)), int(generator.integers(width - w + 1))
    return image[:, top : top + h, left : left + w]


def draw_crop(generator: np.random.Generator, width: int, height: int, settings: ViewSettings) -> Crop:
    """Window of random area and aspect inside a tile, as torchvision's RandomResizedCrop draws it, and random flips.

    Args:
        generator: its random numbers.
        width: of the tile, pixels.
        height: likewise.
        settings: ranges and probabilities.
    """
    window = _draw_window(generator, width, height, settings)
    mirrored, upside_down, turned = generator.random(3) < (settings.flip_horizontal, settings.flip_vertical, settings.quarter_turn)
    return Crop(*window, bool(mirrored), bool(upside_down), bool(turned))


def _draw_window(generator: np.random.Generator, width: int, height: int, settings: ViewSettings) -> tuple[int, int, int, int]:
    stretch = math.log(settings.max_aspect)
    for _ in range(_TRIES):
        area = width * height * generator.uniform(settings.min_scale, 1.0)
        aspect = math.exp(generator.uniform(-stretch, stretch))
        w, h = max(1, round(math.sqrt(area * aspect))), max(1, round(math.sqrt(area / aspect)))
        if w <= width and h <= height:
            return int(generator.integers(width - w + 1)), int(generator.integers(height - h + 1)), w, h
    w, h = min(width, round(height * settings.max_aspect)), min(height, round(width * settings.max_aspect))
    return (width - w) // 2, (height - h) // 2, max(1, w), max(1, h)


def apply_crop(image: Tensor, crop: Crop, size: int) -> Tensor:
    """[3, size, size] uint8 view of a tile [3, H, W] uint8, bicubic with antialiasing."""
    view = F.resized_crop(image, crop.top, crop.left, crop.height, crop.width, [size, size], InterpolationMode.BICUBIC, antialias=True)
    if crop.mirrored:
        view = F.horizontal_flip(view)
    if crop.upside_down:
        view = F.vertical_flip(view)
    return torch.rot90(view, dims=(1, 2)) if crop.turned else view
