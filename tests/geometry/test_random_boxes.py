"""Random boxes: inside the image, le90, evenly drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutdet.geometry.random_boxes import random_boxes
from mutdet.geometry.rotated_boxes import corners, to_le90


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 30), st.floats(16, 500), st.floats(16, 500), st.floats(4, 100), st.floats(0, 900), st.integers(0, 99))
def test_corners_lie_inside_and_sides_in_range(count, width, height, low, more, seed):
    boxes = random_boxes(count, width, height, (low, low + more), np.random.default_rng(seed))
    assert boxes.shape == (count, 5)
    assert boxes.dtype == np.float32
    np.testing.assert_array_equal(to_le90(boxes), boxes)
    points = corners(boxes)
    assert (points > -1e-3 * max(width, height)).all()
    assert (points < np.array([width, height]) + 1e-3 * max(width, height)).all()
    assert (boxes[:, 2] <= low + more + 1e-2).all()


def test_sides_angles_and_places_are_even():
    boxes = random_boxes(20000, 1000, 2000, (10, 30), np.random.default_rng(0))
    sides = np.sort(boxes[:, 2:4].ravel())
    assert sides[0] >= 10 - 1e-3
    np.testing.assert_allclose(np.quantile(sides, [0.25, 0.5, 0.75]), [15, 20, 25], atol=0.3)
    np.testing.assert_allclose(np.quantile(boxes[:, 4], [0.25, 0.5, 0.75]), [-np.pi / 4, 0, np.pi / 4], atol=0.05)
    np.testing.assert_allclose(boxes[:, :2].mean(axis=0), [500, 1000], rtol=0.02)
    np.testing.assert_allclose(np.quantile(boxes[:, 1], [0.1, 0.9]), [200, 1800], rtol=0.1)


def test_boxes_follow_the_generator():
    one, same, other = (random_boxes(5, 90, 90, (8, 40), np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_box_that_fits_nowhere_keeps_its_aspect():
    boxes = random_boxes(200, 50, 50, (60, 60), np.random.default_rng(0))
    assert boxes[:, 2] == pytest.approx(boxes[:, 3], rel=1e-5)
    assert boxes[:, 2].max() <= 50.001
    assert boxes[:, 2].min() >= 50 / np.sqrt(2) - 0.01
