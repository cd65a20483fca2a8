"""Noise fields that textures are mixed from."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

NoiseKind = Literal["smooth", "billow", "ridged", "cells", "streaks"]
_SPARE = 96


def _normalised(field: np.ndarray) -> np.ndarray:
    mean, deviation = cv2.meanStdDev(field)
    return (field - mean.item()) / max(deviation.item(), 1e-6)


def smooth_noise(rng: np.random.Generator, side: int, cell: float) -> np.ndarray:
    """Value noise [side, side] float32: white noise on a grid of `cell` pixels, cubic between its points."""
    points = max(2, round(side / cell) + 3)
    coarse = rng.standard_normal((points, points), dtype=np.float32)
    scale = cell if points > 2 else side
    matrix = np.array([[1 / scale, 0, rng.uniform(0, 1)], [0, 1 / scale, rng.uniform(0, 1)]], dtype=np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return _normalised(cv2.warpAffine(coarse, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REFLECT_101))


def streak_noise(rng: np.random.Generator, side: int, cell: float, angle: float, stretch: float) -> np.ndarray:
    """Value noise drawn out by the factor `stretch` along `angle` (radians): waves, mowing tracks, tyre marks."""
    points = int(1.5 * side / cell) + 4
    coarse = rng.standard_normal((points, points), dtype=np.float32)
    cosine, sine = np.cos(angle) / cell, np.sin(angle) / cell
    matrix = np.array([[cosine / stretch, sine / stretch, points / 2], [-sine, cosine, points / 2]], dtype=np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return _normalised(cv2.warpAffine(coarse, matrix, (side, side), flags=flags, borderMode=cv2.BORDER_REFLECT_101))


def cell_noise(rng: np.random.Generator, side: int, cell: float) -> np.ndarray:
    """Distance to the nearest of random points, [side, side] float32: clumps and cracks."""
    empty = np.full((side, side), 255, dtype=np.uint8)
    count = max(4, int((side / cell) ** 2))
    empty[rng.integers(0, side, count), rng.integers(0, side, count)] = 0
    return _normalised(cv2.distanceTransform(empty, cv2.DIST_L2, 3))


def noise(rng: np.random.Generator, kind: NoiseKind, side: int, cell: float) -> np.ndarray:
    """Noise of zero mean and unit deviation, [side, side] float32, with features of about `cell` pixels."""
    if kind == "cells":
        return cell_noise(rng, side, cell)
    if kind == "streaks":
        return streak_noise(rng, side, cell, float(rng.uniform(0, np.pi)), 3.0)
    field = smooth_noise(rng, side, cell)
    if kind == "smooth":
        return field
    return _normalised(np.abs(field) if kind == "billow" else -np.sqrt(np.abs(field)))


@dataclass(frozen=True)
class NoiseBank:
    """Fields of a scene, coarse to fine; every texture cuts its own piece of each."""

    coarse: np.ndarray
    middle: np.ndarray
    fine: np.ndarray
    grain: np.ndarray
    waves: np.ndarray

    def mix(self, rng: np.random.Generator, height: int, width: int, weights: tuple[float, float, float, float]) -> np.ndarray:
        """Weighted sum [height, width] of coarse, middle, fine and grain, cut at random places."""
        total: np.ndarray = np.zeros((height, width), dtype=np.float32)
        for field, weight in zip((self.coarse, self.middle, self.fine, self.grain), weights, strict=True):
            if weight:
                total = cv2.scaleAdd(np.ascontiguousarray(cut(rng, field, height, width)), weight, total)
        return total


def cut(rng: np.random.Generator, field: np.ndarray, height: int, width: int) -> np.ndarray:
    """Random piece [height, width] of a field, mirrored at random."""
    y, x = rng.integers(0, field.shape[0] - height + 1), rng.integers(0, field.shape[1] - width + 1)
    piece = field[y : y + height, x : x + width]
    return piece[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]


def make_bank(rng: np.random.Generator, size: int, kinds: tuple[NoiseKind, NoiseKind, NoiseKind], cells: tuple[float, float, float]) -> NoiseBank:
    """Bank for scenes of `size` pixels; kinds and cells (pixels) of the coarse, middle and fine field."""
    side = size + _SPARE
    coarse, middle, fine = (noise(rng, kind, side, cell) for kind, cell in zip(kinds, cells, strict=True))
    waves = streak_noise(rng, side, float(rng.uniform(2.5, 5.0)), float(rng.uniform(0, np.pi)), float(rng.uniform(2.0, 4.0)))
    return NoiseBank(coarse, middle, fine, rng.standard_normal((side, side), dtype=np.float32), waves)
