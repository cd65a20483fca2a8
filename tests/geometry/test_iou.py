"""IoU of rotated boxes and quadrilaterals: properties, and shapely as reference."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from mutdet.geometry.iou import overlapping_pairs, polygon_iou, polygon_iou_pairs, rotated_iou, rotated_iou_pairs
from mutdet.geometry.rotated_boxes import corners

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]
seeds = st.integers(0, 2**32 - 1)
any_number = st.floats(allow_nan=True, allow_infinity=True)


def random_pairs(seed, count=400):
    """Overlapping boxes of sides 0.1 to 100 px, some of them near-identical, sharing a side, or parallel."""
    r = np.random.default_rng(seed)
    a = np.column_stack([r.uniform(0, 60, (count, 2)), np.exp(r.uniform(np.log(0.1), np.log(100), (count, 2))), r.uniform(-4, 4, count)])
    b = np.column_stack([r.uniform(0, 60, (count, 2)), np.exp(r.uniform(np.log(0.1), np.log(100), (count, 2))), r.uniform(-4, 4, count)])
    kind = r.integers(0, 5, count)
    b[kind == 0] = a[kind == 0] + r.normal(0, 1e-9, (np.sum(kind == 0), 5))
    b[kind == 1, 4] = a[kind == 1, 4] + r.integers(0, 4, np.sum(kind == 1)) * np.pi / 2
    b[kind == 2, :2] = a[kind == 2, :2]
    return a, b


def shapely_iou(a, b):
    first, second = shapely.polygons(a), shapely.polygons(b)
    common = shapely.area(shapely.intersection(first, second))
    return common / (shapely.area(first) + shapely.area(second) - common)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_rotated_iou_is_shapelys_symmetric_and_a_share(seed):
    a, b = random_pairs(seed)
    iou = rotated_iou_pairs(a, b)
    np.testing.assert_allclose(iou, shapely_iou(corners(a), corners(b)), atol=1e-9)
    np.testing.assert_allclose(iou, rotated_iou_pairs(b, a), atol=1e-9)
    assert np.all((iou >= 0) & (iou <= 1))


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_iou_with_itself_is_one(seed):
    a, _ = random_pairs(seed)
    np.testing.assert_allclose(rotated_iou_pairs(a, a), 1, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(seeds, st.floats(-10, 10), st.floats(-1e5, 1e5), st.floats(-1e5, 1e5))
def test_iou_survives_rotation_and_translation(seed, turn, dx, dy):
    a, b = random_pairs(seed)
    cosine, sine = np.cos(turn), np.sin(turn)

    def moved(boxes):
        result = boxes.copy()
        result[:, :2] = boxes[:, :2] @ np.array([[cosine, sine], [-sine, cosine]]) + (dx, dy)
        result[:, 4] += turn
        return result

    # boxes of 0.1 px lose 1e-11 px of 1e5 px of distance, hence 1e-8
    np.testing.assert_allclose(rotated_iou_pairs(moved(a), moved(b)), rotated_iou_pairs(a, b), atol=1e-8)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_swapped_sides_turned_by_a_right_angle_are_the_same_box(seed):
    a, b = random_pairs(seed)
    swapped = np.column_stack([a[:, :2], a[:, 3], a[:, 2], a[:, 4] + np.pi / 2])
    np.testing.assert_allclose(rotated_iou_pairs(swapped, b), rotated_iou_pairs(a, b), atol=1e-9)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(*[any_number] * 5), min_size=1, max_size=6))
def test_never_nan_nor_outside_of_its_range(boxes):
    iou = rotated_iou(np.array(boxes), np.array(boxes))
    assert np.all((iou >= 0) & (iou <= 1))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.floats(-1e3, 1e3) | st.integers(0, 3), min_size=8, max_size=8), min_size=1, max_size=6))
def test_any_quadrilateral_has_an_iou(polygons):
    iou = polygon_iou(np.array(polygons, float), np.array(polygons, float))
    assert np.all((iou >= 0) & (iou <= 1))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0, 0, 10, 10, 0], [10, 0, 10, 10, 0], 0),  # share a side
        ([0, 0, 10, 10, 0], [10, 10, 10, 10, 0], 0),  # share a corner
        ([0, 0, 0, 0, 0], [0, 0, 0, 0, 0], 0),  # no area
        ([0, 0, 10, 0, 0.3], [0, 0, 10, 0, 0.3], 0),
        ([0, 0, 10, 10, 0], [0, 0, 5, 5, 0], 0.25),  # one in the other
        ([0, 0, 10, 10, 0], [5, 0, 10, 10, 0], 1 / 3),
        ([1e17, 1e17, 3, 2, 0.3], [1e17, 1e17, 3, 2, 0.3], 1),  # far away (detectron2's regression test)
        ([1e9, -1e9, 30, 20, 0.3], [1e9, -1e9, 30, 20, 0.3], 1),
        ([299.5, 417.370422, 600, 364.259186, 0.4], [299.5, 417.370422, 600, 364.259155, 0.4], 364.259155 / 364.259186),  # near-identical
    ],
)
def test_known_values(a, b, expected):
    assert rotated_iou_pairs([a], [b])[0] == pytest.approx(expected, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_matrix_is_the_pairs(seed):
    a, b = random_pairs(seed, 30)
    rows, columns = np.divmod(np.arange(900), 30)
    np.testing.assert_allclose(rotated_iou(a, b).ravel(), rotated_iou_pairs(a[rows], b[columns]), atol=1e-12)
    np.testing.assert_allclose(polygon_iou(corners(a), corners(b)), rotated_iou(a, b), atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(seeds)
def test_polygon_iou_in_any_winding_and_start(seed):
    points = np.random.default_rng(seed).uniform(0, 20, (400, 4, 2))
    valid = shapely.is_valid(shapely.polygons(points)) & (shapely.area(shapely.polygons(points)) > 0.5)
    points = points[valid]
    other = np.roll(points, 1, axis=0)
    expected = shapely_iou(points, other)
    for variant in (points, points[:, ::-1], np.roll(points, 1, axis=1)):
        np.testing.assert_allclose(polygon_iou_pairs(variant, other), expected, atol=1e-9)


def test_self_intersecting_results_are_clipped():
    bow_tie = [[0, 0], [2, 2], [2, 0], [0, 4]]
    assert polygon_iou_pairs([bow_tie], [bow_tie])[0] in (0, 1)
    assert polygon_iou_pairs([bow_tie], [SQUARE])[0] < 1


def test_overlapping_pairs_in_several_blocks(monkeypatch):
    r = np.random.default_rng(0)
    low = r.integers(0, 8, (40, 2))
    boxes = np.hstack([low, low + r.integers(0, 4, (40, 2))]).astype(float)
    expected = [(i, j) for i, a in enumerate(boxes) for j, b in enumerate(boxes) if max(a[0], b[0]) <= min(a[2], b[2]) and max(a[1], b[1]) <= min(a[3], b[3])]
    monkeypatch.setattr("mutdet.geometry.iou._PAIRS_PER_FILTER", 100)
    assert list(zip(*map(np.ndarray.tolist, overlapping_pairs(boxes, boxes)), strict=True)) == expected


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_no_boxes(shape):
    assert rotated_iou(np.zeros((shape[0], 5)), np.zeros((shape[1], 5))).shape == shape
    assert polygon_iou(np.zeros((shape[0], 8)), np.zeros((shape[1], 8))).shape == shape
