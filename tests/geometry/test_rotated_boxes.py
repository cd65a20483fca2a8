"""Representations of rotated boxes: le90, corners, minimum-area rectangles, flips; NumPy and torch twins."""

import cv2
import numpy as np
import pytest
import shapely
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mutdet.geometry import rotated_boxes_torch
from mutdet.geometry.rotated_boxes import corners, flip, from_polygons, to_le90

seeds = st.integers(0, 2**32 - 1)


def random_boxes(seed, count=500, turns=3.0):
    r = np.random.default_rng(seed)
    sides = r.uniform(0.5, 200, (count, 2))
    sides[: count // 10, 1] = sides[: count // 10, 0]
    angles = np.where(r.random(count) < 0.2, r.integers(-6, 7, count) * np.pi / 4, r.uniform(-turns, turns, count))
    return np.column_stack([r.uniform(-100, 4000, (count, 2)), sides, angles])


def farthest_corner(a, b):
    """Largest distance in pixels between the corners of the same rectangles, in the better of the four orders."""
    first, second = corners(a), corners(b)
    shifts = [np.abs(first - np.roll(second, k, axis=1)).max(axis=(1, 2)) for k in range(4)]
    return np.min(shifts, axis=0).max()


def is_le90(boxes):
    half = boxes.dtype.type(np.pi / 2)
    return np.all((boxes[:, 2] >= boxes[:, 3]) & (boxes[:, 4] >= -half) & (boxes[:, 4] < half))


def test_corner_of_the_convention():
    # clockwise with y down: at +90 degrees the end of the long side points down
    np.testing.assert_allclose(corners([[10, 20, 6, 2, np.pi / 2]])[0], [[11, 17], [11, 23], [9, 23], [9, 17]], atol=1e-12)
    np.testing.assert_allclose(corners([[0, 0, 4, 2, 0]])[0], [[-2, -1], [2, -1], [2, 1], [-2, 1]])


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_le90_keeps_the_rectangle_and_is_idempotent(seed):
    given_boxes = random_boxes(seed)
    boxes = to_le90(given_boxes)
    assert is_le90(boxes)
    assert farthest_corner(given_boxes, boxes) < 1e-9
    assert np.array_equal(to_le90(boxes), boxes)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_le90_in_single_precision(seed):
    boxes = to_le90(random_boxes(seed).astype(np.float32))
    assert boxes.dtype == np.float32
    assert is_le90(boxes)
    assert np.array_equal(to_le90(boxes), boxes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("angle", [np.pi / 2, -np.pi / 2, 1.5 * np.pi, -1.5 * np.pi, np.nextafter(-np.pi / 2, -2), -1e-17])
def test_le90_at_the_ends_of_its_range(angle, dtype):
    for sides in ((4, 2), (2, 4)):
        assert is_le90(to_le90(np.array([[0, 0, *sides, angle]], dtype)))


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_box_to_corners_to_box(seed):
    boxes = to_le90(random_boxes(seed))
    again = from_polygons(corners(boxes).reshape(-1, 8))
    assert is_le90(again)
    assert farthest_corner(boxes, again) < 1e-6


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_least_area_is_shapelys_and_opencvs(seed):
    points = np.random.default_rng(seed).uniform(0, 100, (50, 4, 2))
    boxes = from_polygons(points)
    expected = shapely.area(shapely.minimum_rotated_rectangle(shapely.multipoints(points)))
    np.testing.assert_allclose(boxes[:, 2] * boxes[:, 3], expected, rtol=1e-9, atol=1e-9)
    sides = [cv2.minAreaRect(p.astype(np.float32))[1] for p in points]
    np.testing.assert_allclose(boxes[:, 2] * boxes[:, 3], np.prod(sides, axis=1), rtol=1e-3)
    grown = shapely.buffer(shapely.polygons(corners(boxes)), 1e-7)
    assert np.all(shapely.covers(grown, shapely.multipoints(points)))


def test_polygons_without_area():
    boxes = from_polygons([[[3, 4]] * 4, [[0, 0], [3, 4], [6, 8], [3, 4]]])
    np.testing.assert_allclose(boxes[:, :4], [[3, 4, 0, 0], [3, 4, 10, 0]], atol=1e-12)
    assert is_le90(boxes)


@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from(["horizontal", "vertical", "diagonal"]))
def test_flip_mirrors_the_corners_and_twice_is_nothing(seed, direction):
    boxes = to_le90(random_boxes(seed))
    flipped = flip(boxes, direction, 640, 480)
    mirrored = corners(boxes)
    if direction != "vertical":
        mirrored[..., 0] = 640 - mirrored[..., 0]
    if direction != "horizontal":
        mirrored[..., 1] = 480 - mirrored[..., 1]
    assert is_le90(flipped)
    np.testing.assert_allclose(np.sort(corners(flipped), axis=1), np.sort(mirrored, axis=1), atol=1e-9)
    assert farthest_corner(boxes, flip(flipped, direction, 640, 480)) < 1e-9


def test_flip_refuses_other_directions():
    with pytest.raises(ValueError, match="sideways"):
        flip(np.zeros((1, 5)), "sideways", 8, 8)


@settings(max_examples=20, deadline=None)
@given(seeds)
def test_torch_twins_agree(seed):
    for dtype in (np.float32, np.float64):
        boxes = random_boxes(seed).astype(dtype)
        tensor = torch.from_numpy(boxes)
        tolerance = 2e-3 if dtype == np.float32 else 1e-9
        np.testing.assert_allclose(rotated_boxes_torch.corners(tensor).numpy(), corners(boxes), atol=tolerance)
        np.testing.assert_allclose(rotated_boxes_torch.to_le90(tensor).numpy(), to_le90(boxes), atol=1e-6)


def test_torch_corners_have_gradients_and_take_batches():
    boxes = torch.from_numpy(random_boxes(1, 6)).reshape(2, 3, 5).requires_grad_()
    assert rotated_boxes_torch.corners(boxes).shape == (2, 3, 4, 2)
    assert torch.autograd.gradcheck(rotated_boxes_torch.corners, boxes)


def test_no_boxes():
    assert to_le90(np.zeros((0, 5))).shape == (0, 5)
    assert corners(np.zeros((0, 5))).shape == (0, 4, 2)
    assert from_polygons(np.zeros((0, 8))).shape == (0, 5)
