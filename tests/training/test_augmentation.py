"""Resizing and flips: boxes must follow pixels."""

import cv2
import numpy as np
import pytest

from mutdet.geometry.rotated_boxes import corners
from mutdet.settings.training import TrainingSettings
from mutdet.training.augmentation import apply_flip, draw_flip, resize

BOX = np.array([[40.0, 30.0, 36.0, 14.0, 0.5]], np.float32)


def _mask(boxes: np.ndarray, height: int, width: int) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    cv2.fillPoly(image, [np.round((corners(boxes)[0] - 0.5) * 256).astype(np.int32)], (255, 255, 255), cv2.LINE_8, 8)
    return image


def _share_in_common(first: np.ndarray, second: np.ndarray) -> float:
    first, second = first[..., 0] > 127, second[..., 0] > 127
    return (first & second).sum() / (first | second).sum()


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal", None])
def test_flipped_box_covers_the_flipped_pixels(direction):
    image = _mask(BOX, 80, 120)
    flipped, boxes = apply_flip(image, BOX, direction)
    assert _share_in_common(flipped, _mask(boxes, 80, 120)) > 0.93
    if direction:
        assert _share_in_common(flipped, image) < 0.5


@pytest.mark.parametrize("side", [60, 120, 300])
def test_resized_box_covers_the_resized_pixels(side):
    resized, boxes = resize(_mask(BOX, 80, 120), BOX, side)
    assert resized.shape == (side * 80 // 120, side, 3)
    assert _share_in_common(resized, _mask(boxes, *resized.shape[:2])) > 0.9
    assert boxes[0, 4] == BOX[0, 4]


def test_flips_are_drawn_as_often_as_asked_for():
    settings = TrainingSettings(flip_horizontal=0.5, flip_vertical=0.1, flip_diagonal=0.2)
    random = np.random.default_rng(0)
    drawn = [draw_flip(settings, random) for _ in range(4000)]
    shares = [drawn.count(direction) / 4000 for direction in ("horizontal", "vertical", "diagonal", None)]
    assert shares == pytest.approx([0.5, 0.1, 0.2, 0.2], abs=0.03)
