"""Procedural scenes as training samples of the small SAM: an image, point prompts, and what each should give."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mutdet.data.scenes.draw import Scene, draw_scene
from mutdet.proposals.small_encoder import PEAK_STRIDE
from mutdet.proposals.small_sam import IMAGE_SIDE, MASK_STRIDE
from mutdet.settings.seeds import generator_for
from mutdet.settings.train_small_sam import TrainSmallSamSettings

_NEAR = 13
_CENTRE_JITTER = 1.5
_PEAK_SHARE = 0.15
_SMALLEST_PEAK = 2.0
_WAY_UNIT = 16.0


@dataclass(frozen=True)
class Sample:
    """One scene with O prompts on objects, followed by prompts on background.

    Attributes:
        image: [3, S, S] uint8 RGB.
        points: [O + ..., 2] float32 x, y in pixels, whole numbers being pixel centres.
        masks: [O, S / 2, S / 2] float32, share of each cell that the prompted object covers.
        centres: [S / 4, S / 4] float32, 1 at the centres of objects, falling to 0 like a bell.
        dense: [3, S / 2, S / 2] float32, share of each cell that any object covers, and x and y of the way from its
            covered part to the object's centre in units of 16 pixels.
    """

    image: Tensor
    points: Tensor
    masks: Tensor
    centres: Tensor
    dense: Tensor


class TrainingScenes(Dataset[Sample]):
    """Samples by number; sample i follows from the seed and i alone."""

    def __init__(self, settings: TrainSmallSamSettings) -> None:
        self._settings = settings
        self._scene = settings.scene(IMAGE_SIDE)

    def __len__(self) -> int:
        return self._settings.samples(self._settings.total_steps - 1).stop

    def __getitem__(self, index: int) -> Sample:
        rng = generator_for(self._settings.seed, "train_small_sam", index)
        scene = draw_scene(self._scene, rng)
        objects = _objects_to_prompt(scene, self._settings.object_points, rng)
        on_objects = [_point_on(scene.instances == number + 1, scene.polygons[number].mean(axis=0), rng) for number in objects]
        background = _background_points(scene.instances, self._settings.background_points, rng)
        return Sample(
            image=torch.from_numpy(augmented(scene.image, self._settings.grey, rng)).permute(2, 0, 1).contiguous(),
            points=torch.tensor(np.array([*on_objects, *background]).reshape(-1, 2), dtype=torch.float32),
            masks=_coverage(scene.instances, objects),
            centres=torch.from_numpy(centre_map(scene.polygons, IMAGE_SIDE)),
            dense=_dense_targets(scene),
        )


def _objects_to_prompt(scene: Scene, count: int, rng: np.random.Generator) -> list[int]:
    """Numbers of objects, each before any comes twice; rare categories go first more often."""
    total = len(scene.categories)
    if total == 0:
        return []
    _, place, occurrences = np.unique(scene.categories, return_inverse=True, return_counts=True)
    chances = 1 / np.sqrt(occurrences[place])
    order = rng.choice(total, total, replace=False, p=chances / chances.sum())
    return np.resize(order, count).tolist()


def _point_on(mask: NDArray[np.bool_], centre: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.integer]:
    """Pixel (x, y) of an object: any of its pixels, or one near its centre, as grids and peaks prompt."""
    rows, columns = np.nonzero(mask)
    chosen = rng.integers(len(rows))
    if rng.random() < 0.5:
        target = centre - 0.5 + rng.normal(0, _CENTRE_JITTER, 2)
        chosen = np.argmin((columns - target[0]) ** 2 + (rows - target[1]) ** 2)
    return np.array([columns[chosen], rows[chosen]])


def _background_points(instances: NDArray[np.integer], count: int, rng: np.random.Generator) -> NDArray[np.integer]:
    free = instances == 0
    near = free & (cv2.dilate((~free).astype(np.uint8), np.ones((_NEAR, _NEAR), np.uint8)) > 0)
    chosen = []
    for place, number in ((near, count // 2), (free, count - count // 2)):
        rows, columns = np.nonzero(place)
        picks = rng.integers(len(rows), size=number) if len(rows) else np.zeros(0, np.intp)
        chosen.append(np.stack([columns[picks], rows[picks]], axis=1))
    return np.concatenate(chosen)


def _coverage(instances: NDArray[np.integer], objects: list[int]) -> Tensor:
    numbers = np.asarray(objects, np.int64).reshape(-1, 1, 1) + 1
    masks = torch.from_numpy(instances.astype(np.int64)[None] == numbers).float()
    return torch.nn.functional.avg_pool2d(masks[:, None], MASK_STRIDE)[:, 0]


def _dense_targets(scene: Scene) -> Tensor:
    instances = scene.instances.astype(np.int64)
    centres = np.concatenate([np.zeros((1, 2)), scene.polygons.mean(axis=1).reshape(-1, 2)])[instances]
    rows, columns = np.indices(instances.shape) + 0.5
    covered = instances > 0
    way = np.stack([centres[..., 0] - columns, centres[..., 1] - rows]) * (covered / _WAY_UNIT)
    dense = torch.from_numpy(np.concatenate([covered[None], way]).astype(np.float32))
    return torch.nn.functional.avg_pool2d(dense, MASK_STRIDE)


def centre_map(polygons: NDArray[np.floating], side: int) -> NDArray[np.float32]:
    """[side / 4, side / 4] map with a rotated bell at each rectangle [M, 4, 2], as wide as 15 % of the sides, and 1 in its centre's cell."""
    cells = side // PEAK_STRIDE
    if len(polygons) == 0:
        return np.zeros((cells, cells), np.float32)
    centres = polygons.mean(axis=1)
    axis = (np.arange(cells) + 0.5) * PEAK_STRIDE
    offset = np.stack(np.meshgrid(axis, axis), axis=-1)[None] - centres[:, None, None]
    exponent = np.zeros((len(polygons), cells, cells))
    for edge in (polygons[:, 1] - polygons[:, 0], polygons[:, 2] - polygons[:, 1]):
        length = np.maximum(np.hypot(edge[:, 0], edge[:, 1]), 1e-6)
        along = np.einsum("mhwc,mc->mhw", offset, edge / length[:, None])
        exponent += (along / np.maximum(_PEAK_SHARE * length, _SMALLEST_PEAK)[:, None, None]) ** 2
    bells = np.exp(-exponent / 2).max(axis=0)
    inside = centres[((centres >= 0) & (centres < side)).all(axis=1)].astype(np.int64) // PEAK_STRIDE
    bells[inside[:, 1], inside[:, 0]] = 1
    return bells.astype(np.float32)


def augmented(image: NDArray[np.uint8], grey: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Image [H, W, 3] with other brightness, contrast, colour balance, sharpness and noise; without colours in a share `grey` of cases."""
    pixels = image.astype(np.float32)
    if rng.random() < grey:
        pixels[:] = pixels.mean(axis=2, keepdims=True)
    pixels = (pixels - pixels.mean()) * rng.uniform(0.6, 1.4) + pixels.mean() + rng.uniform(-25, 25) + rng.normal(0, 6, 3)
    if rng.random() < 0.3:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.1))
    pixels += rng.normal(0, rng.uniform(0, 5), pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)
