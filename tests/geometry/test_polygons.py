"""Areas of quadrilaterals against shapely."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from mutdet.geometry.polygons import areas, clip_areas, fraction_inside, horizontal_boxes, intersection_areas, signed_areas

ARROW = [[0, 0], [4, 2], [0, 4], [1, 2]]
BOW_TIE = [[0, 0], [2, 2], [2, 0], [0, 4]]
SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]
seeds = st.integers(0, 2**32 - 1)


def simple_quadrilaterals(seed, count=400):
    """Random quadrilaterals without crossing edges, convex or not, in both windings."""
    points = np.random.default_rng(seed).uniform(0, 20, (count, 4, 2))
    shapes = shapely.polygons(points)
    return points[shapely.is_valid(shapes) & (shapely.area(shapes) > 0.5)]


def common_areas(a, b):
    return shapely.area(shapely.intersection(shapely.polygons(a), shapely.polygons(b)))


def test_signed_area_is_positive_for_clockwise_on_the_screen():
    assert signed_areas([SQUARE, SQUARE[::-1]]).tolist() == [1, -1]


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_areas_are_shapelys(seed):
    points = simple_quadrilaterals(seed)
    np.testing.assert_allclose(areas(points), shapely.area(shapely.polygons(points)), atol=1e-11)


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_common_areas_of_simple_quadrilaterals_are_shapelys(seed):
    points = simple_quadrilaterals(seed)
    other = np.roll(points, 1, axis=0)
    np.testing.assert_allclose(intersection_areas(points, other), common_areas(points, other), atol=1e-10)


@pytest.mark.parametrize(("a", "b"), [(ARROW, ARROW), (ARROW, SQUARE), (ARROW[::-1], ARROW), (SQUARE, ARROW[2:] + ARROW[:2])])
def test_non_convex_in_any_winding(a, b):
    assert intersection_areas([a], [b])[0] == pytest.approx(common_areas([a], [b])[0], abs=1e-12)


def test_self_intersecting_lobes_count_with_opposite_signs():
    # crossing at (4/3, 4/3): the left lobe has area 8/3, the right one 2/3
    assert areas([BOW_TIE])[0] == pytest.approx(2)
    left, right = [[0, 0], [1.3, 0], [1.3, 4], [0, 4]], [[4 / 3, 0], [2, 0], [2, 4], [4 / 3, 4]]
    assert intersection_areas([BOW_TIE], [right])[0] == pytest.approx(-2 / 3)
    assert intersection_areas([BOW_TIE], [left])[0] > 2.6


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(-10, 25), st.integers(-10, 25), st.integers(0, 30), st.integers(0, 30))
def test_clipping_to_a_window_is_shapelys(seed, x, y, width, height):
    points = simple_quadrilaterals(seed, 100)
    inside = clip_areas(points, x, y, x + width, y + height)
    window = shapely.box(x, y, x + width, y + height)
    np.testing.assert_allclose(inside, shapely.area(shapely.intersection(shapely.polygons(points), window)), atol=1e-10)
    fraction = fraction_inside(points, x, y, width, height)
    np.testing.assert_allclose(fraction, inside / areas(points), atol=1e-12)
    assert np.all((fraction >= 0) & (fraction <= 1))


def test_a_quadrilateral_without_area_is_not_inside():
    line = [[[0, 0], [1, 1], [2, 2], [1, 1]]]
    assert clip_areas(line, 0, 0, 9, 9).tolist() == [0]
    assert fraction_inside(line, 0, 0, 9, 9).tolist() == [0]


def test_many_pairs_are_those_of_one_at_a_time():
    points = simple_quadrilaterals(3, 9000)
    other = np.roll(points, 1, axis=0)
    chosen = [0, 2047, 2048, len(points) - 1]
    together = intersection_areas(points, other)
    assert len(points) > 4096
    assert [intersection_areas(points[[i]], other[[i]])[0] for i in chosen] == together[chosen].tolist()


def test_flat_and_empty_input():
    assert horizontal_boxes(np.array([SQUARE]).reshape(1, 8)).tolist() == [[0, 0, 1, 1]]
    assert intersection_areas(np.zeros((0, 8)), np.zeros((0, 4, 2))).shape == (0,)
