"""Pictures of tiles: outlines, masks, crops."""

import base64
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from matplotlib import colormaps
from pycocotools import mask as coco

from mutdet.reporting.blocks import Picture

Colour = tuple[int, int, int]
GREEN: Colour = (64, 224, 96)
RED: Colour = (255, 72, 72)
YELLOW: Colour = (255, 214, 0)
_QUALITY = 82
_SHIFT = 4
_THICKNESS = 2


def category_colour(number: int) -> Colour:
    """One of 20 colours that are easy to tell apart."""
    red, green, blue, _ = colormaps["tab20"](number % 20)
    return int(255 * red), int(255 * green), int(255 * blue)


def enlarge(image: np.ndarray, side: int) -> tuple[np.ndarray, float]:
    """Image resized so that its longer side is `side` pixels, and the factor."""
    factor = side / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC), factor


def draw_outlines(image: np.ndarray, polygons: np.ndarray, colours: Sequence[Colour]) -> np.ndarray:
    """Copy of an image [H, W, 3] with closed outlines [M, 4, 2] (pixels; pixel i covers [i, i + 1))."""
    drawn = image.copy()
    for polygon, colour in zip(np.asarray(polygons, float).reshape(-1, 4, 2), colours, strict=True):
        points = np.round((polygon - 0.5) * 2**_SHIFT).astype(np.int32)
        cv2.polylines(drawn, [points], True, (0, 0, 0), _THICKNESS + 1, cv2.LINE_AA, _SHIFT)
        cv2.polylines(drawn, [points], True, colour, _THICKNESS, cv2.LINE_AA, _SHIFT)
    return drawn


def draw_masks(image: np.ndarray, codes: Iterable[dict[str, object]], side: int) -> np.ndarray:
    """Enlarged copy of an image with masks (COCO run-length codes) in changing colours, larger ones below smaller ones."""
    drawn, _ = enlarge(image, side)
    masks = sorted((coco.decode(code) for code in codes), key=lambda mask: -int(mask.sum()))
    for number, mask in enumerate(masks):
        wide = cv2.resize(mask, (drawn.shape[1], drawn.shape[0]), interpolation=cv2.INTER_LINEAR)
        colour = np.array(category_colour(number))
        drawn[wide > 0] = (0.5 * drawn[wide > 0] + 0.5 * colour).astype(np.uint8)
        contours, _ = cv2.findContours(wide, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, contours, -1, tuple(map(int, colour)), 1)
    return drawn


def picture(image: np.ndarray, caption: str) -> Picture:
    """JPEG data URI of an RGB image [H, W, 3]."""
    encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    return Picture(f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}", caption)
