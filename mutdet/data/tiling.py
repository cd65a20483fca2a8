"""Pixels of tiles."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mutdet.data.images import ImageReader
from mutdet.data.windows import Window

_PNG_OPTIONS = [cv2.IMWRITE_PNG_COMPRESSION, 1]  # a third faster than level 3, 5 % larger


def cut_windows(image: ImageReader, windows: Sequence[Window], side: int, pad_colour: tuple[int, int, int]) -> Iterator[tuple[Window, NDArray[np.uint8]]]:
    """Windows of an image with their tiles, [side, side, 3] RGB; ordered such that rows of the image are decoded once per scale.

    A window that reaches beyond the image is filled with `pad_colour`; one of another size is scaled: by area averaging down, linearly up.

    Raises:
        UserError: the image is damaged or cut off.
    """
    for window in sorted(windows, key=lambda window: (window.side, window.y, window.x)):
        rows = image.rows(window.y, min(window.y + window.side, image.height))
        yield window, _fit(rows[:, window.x : window.x + window.side], window.side, side, pad_colour)


def _fit(pixels: NDArray[np.uint8], window_side: int, side: int, pad_colour: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Scale pixels [h, w, 3] of a window to a tile; h and w are less than the window's side where the image ends."""
    height, width = pixels.shape[:2]
    if window_side != side:
        # The edge is repeated before scaling so that no padding colour blends into the image.
        squared = cv2.copyMakeBorder(pixels, 0, window_side - height, 0, window_side - width, cv2.BORDER_REPLICATE)
        scaled = cv2.resize(squared, (side, side), interpolation=cv2.INTER_AREA if window_side > side else cv2.INTER_LINEAR)
        pixels = scaled.astype(np.uint8, copy=False)
        height, width = max(1, round(height * side / window_side)), max(1, round(width * side / window_side))
    tile = np.empty((side, side, 3), np.uint8)
    tile[:] = pad_colour
    tile[:height, :width] = pixels[:height, :width]
    return tile


def encode_png(tile: NDArray[np.uint8]) -> bytes:
    """PNG of an RGB tile [H, W, 3]."""
    _, encoded = cv2.imencode(".png", cv2.cvtColor(tile, cv2.COLOR_RGB2BGR), _PNG_OPTIONS)
    return encoded.tobytes()
