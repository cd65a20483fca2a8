"""Ground of a scene: textured, antialiased fills and markings at the image's resolution."""

import cv2
import numpy as np

from mutdet.data.scenes.noise import NoiseBank, cut
from mutdet.data.scenes.palette import Material

_SHIFT = 6


def fixed_point(points: np.ndarray) -> np.ndarray:
    """Pixel coordinates [K, 2] (pixel i covers [i, i + 1)) as OpenCV's fixed-point ones (pixel i centred at i)."""
    return np.round((points - 0.5) * (1 << _SHIFT)).astype(np.int32)


def fill(image: np.ndarray, points: np.ndarray, colour: float | tuple[float, ...], line_type: int = cv2.LINE_AA) -> None:
    """Fill a polygon given in pixels, in place; touched pixels count as inside."""
    cv2.fillPoly(image, [fixed_point(points)], colour, lineType=line_type, shift=_SHIFT)


def bounds(pixels: np.ndarray, size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Ranges of columns and rows, within an image of `size`, that a polygon [K, 2] touches; empty ones may run backwards."""
    xs, ys = pixels[:, 0].tolist(), pixels[:, 1].tolist()
    return (max(0, int(min(xs)) - 1), min(size, int(max(xs)) + 2)), (max(0, int(min(ys)) - 1), min(size, int(max(ys)) + 2))


class Canvas:
    """Ground image [size, size, 3] float32 RGB in 0..255; all coordinates are metres from its upper left corner."""

    def __init__(self, size: int, gsd: float, bank: NoiseBank, rng: np.random.Generator) -> None:
        self.image = np.zeros((size, size, 3), dtype=np.float32)
        self.gsd = gsd
        self._bank = bank
        self._rng = rng

    @property
    def size(self) -> int:
        """Side of the image, pixels."""
        return int(self.image.shape[0])

    @property
    def extent(self) -> float:
        """Side of the image, metres."""
        return self.size * self.gsd

    def _region(self, points: np.ndarray) -> tuple[slice, slice, np.ndarray] | None:
        pixels = points / self.gsd
        (left, right), (top, bottom) = bounds(pixels, self.size)
        if right <= left or bottom <= top:
            return None
        return slice(top, bottom), slice(left, right), pixels - (left, top)

    def _coverage(self, shape: tuple[int, ...], pixels: np.ndarray, softness: float) -> np.ndarray:
        mask: np.ndarray = np.zeros(shape, dtype=np.uint8)
        fill(mask, pixels, 255)
        if softness > 0:
            mask = cv2.GaussianBlur(mask, (0, 0), softness / self.gsd)
        return mask.astype(np.float32)[..., None] / 255

    def texture(self, material: Material, height: int, width: int) -> np.ndarray:
        """Piece of a material, [height, width, 3] float32."""
        brightness = 1 + self._bank.mix(self._rng, height, width, material.weights)
        texture = brightness[..., None] * material.colour.astype(np.float32)
        if any(material.tint):
            texture += cut(self._rng, self._bank.coarse, height, width)[..., None] * np.array(material.tint, dtype=np.float32)
        return texture

    def cover(self, points: np.ndarray, material: Material, softness: float = 0.0) -> None:
        """Fill a polygon [K, 2] with a material; `softness` blurs the edge (metres)."""
        region = self._region(points)
        if region is None:
            return
        rows, columns, pixels = region
        target = self.image[rows, columns]
        texture = self.texture(material, target.shape[0], target.shape[1])
        target += (texture - target) * self._coverage(target.shape[:2], pixels, softness)

    def paint(self, points: np.ndarray, colour: np.ndarray, opacity: float = 1.0, softness: float = 0.0) -> None:
        """Fill a polygon with a colour that the ground below shines through by 1 - opacity."""
        region = self._region(points)
        if region is None:
            return
        rows, columns, pixels = region
        target = self.image[rows, columns]
        if opacity == 1.0 and softness == 0.0:
            fill(target, pixels, tuple(colour.tolist()))
            return
        target += (np.float32(colour) - target) * (opacity * self._coverage(target.shape[:2], pixels, softness))

    def line(self, start: np.ndarray, end: np.ndarray, width: float, colour: np.ndarray, opacity: float = 1.0) -> None:
        """Straight marking `width` metres wide; thinner than a pixel it fades instead."""
        direction = np.asarray(end, dtype=np.float64) - start
        length = np.hypot(*direction)
        if length == 0:
            return
        drawn = max(width, 0.6 * self.gsd)
        normal = np.array([-direction[1], direction[0]]) / length * drawn / 2
        self.paint(np.array([start + normal, end + normal, end - normal, start - normal]), colour, opacity * width / drawn)

    def wear(self) -> np.ndarray:
        """Faint unevenness [size, size] of every surface, relative to its brightness: dirt, weathering, uneven light."""
        return self._bank.mix(self._rng, self.size, self.size, (0.018, 0.016, 0.014, 0.0))

    def modulate(self, points: np.ndarray, factor: np.ndarray, softness: float = 0.0) -> None:
        """Multiply the ground inside a polygon by 1 + factor, a field [size, size] over the whole image."""
        region = self._region(points)
        if region is None:
            return
        rows, columns, pixels = region
        target = self.image[rows, columns]
        target *= 1 + factor[rows, columns, None] * self._coverage(target.shape[:2], pixels, softness)

    def waves(self, points: np.ndarray, amplitude: float) -> None:
        """Ripples on the water inside a polygon."""
        self.modulate(points, amplitude * self._bank.waves[: self.size, : self.size])

    def furrows(self, points: np.ndarray, angle: float, period: float, amplitude: float) -> None:
        """Parallel rows across a polygon, `period` metres apart, bent a little by noise."""
        axis = (np.arange(self.size, dtype=np.float32) + 0.5) * self.gsd
        across = axis[:, None] * np.float32(np.cos(angle)) - axis[None, :] * np.float32(np.sin(angle))
        bend = 0.6 * self._bank.coarse[: self.size, : self.size] + 0.15 * self._bank.fine[: self.size, : self.size]
        self.modulate(points, amplitude * np.sin(across * np.float32(2 * np.pi / period) + bend))
