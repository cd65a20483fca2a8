"""Rotated boxes of masks against brute force over angles, and the filters."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco
from shapely import MultiPoint, Polygon

from mutdet.geometry.rotated_boxes import corners
from mutdet.proposals.box_filters import FILTERS, kept_boxes
from mutdet.proposals.mask import Mask, Region, decode_mask
from mutdet.proposals.mask_boxes import box_of_region, smallest_rectangle
from mutdet.proposals.tile_boxes import boxes_of_tile
from mutdet.settings.boxes import BoxesSettings


def box_of(mask: np.ndarray) -> np.ndarray:
    return box_of_region(Region.of(np.ascontiguousarray(mask, np.uint8)))


def least_area(points: np.ndarray) -> float:
    """Area of the smallest rectangle around points by trying every edge of the hull (shapely's hull)."""
    hull = MultiPoint(points).convex_hull
    if hull.geom_type != "Polygon":
        return 0.0
    outline = np.array(hull.exterior.coords)
    angles = np.arctan2(*np.diff(outline, axis=0).T[::-1])
    areas = []
    for angle in angles:
        turned = outline @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        areas.append(np.prod(np.ptp(turned, axis=0)))
    return float(min(areas))


@settings(max_examples=200, deadline=None)
@given(arrays.arrays(np.int32, st.tuples(st.integers(3, 30), st.just(2)), elements=st.integers(0, 60)))
def test_smallest_rectangle_has_the_least_area_and_holds_the_points(points):
    cx, cy, w, h, angle = smallest_rectangle(points)
    assert w * h == pytest.approx(least_area(points), rel=1e-3, abs=0.05)
    assert w >= h
    box = Polygon(corners(np.array([[cx, cy, w + 0.02, h + 0.02, angle]]))[0])
    assert box.buffer(1e-2).covers(MultiPoint(points))


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.integers(0, 1)))
def test_box_goes_around_the_outline_of_largest_area(mask):
    if not mask.any():
        return
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    areas = [cv2.contourArea(outline) for outline in outlines]
    cx, cy, w, h, angle = box_of(mask)
    assert w >= h >= 1
    assert -np.pi / 2 <= angle < np.pi / 2
    grown = Polygon(corners(np.array([[cx, cy, w, h, angle]]))[0]).buffer(1e-2)
    largest = [outline for outline, area in zip(outlines, areas, strict=True) if area == max(areas)]
    assert any(grown.covers(MultiPoint(outline[:, 0] + 0.5)) for outline in largest)


def test_axis_parallel_rectangle_is_exact():
    mask = np.zeros((40, 50), np.uint8)
    mask[10:16, 5:25] = 1
    np.testing.assert_allclose(box_of(mask), [15, 13, 20, 6, 0], atol=1e-4)
    np.testing.assert_allclose(box_of(mask.T), [13, 15, 20, 6, -np.pi / 2], atol=1e-4)


@pytest.mark.parametrize("place", [(0, 0), (7, 3), (9, 11)])
def test_one_pixel(place):
    mask = np.zeros((10, 12), np.uint8)
    mask[place] = 1
    cx, cy, w, h, _ = box_of(mask)
    assert (cx, cy, w, h) == pytest.approx((place[1] + 0.5, place[0] + 0.5, 1, 1))


@pytest.mark.parametrize("degrees", [0, 17, 45, 73, 90, 121, 179])
def test_drawn_rectangle_comes_back(degrees):
    box = np.array([[64.0, 60.0, 60.0, 22.0, np.deg2rad(degrees)]])
    mask = np.zeros((128, 128), np.uint8)
    ys, xs = np.mgrid[:128, :128] + 0.5
    dx, dy = xs - 64, ys - 60
    c, s = np.cos(box[0, 4]), np.sin(box[0, 4])
    mask[(np.abs(dx * c + dy * s) <= 30) & (np.abs(-dx * s + dy * c) <= 11)] = 1
    found, drawn = (Polygon(corners(b)[0]) for b in (box_of(mask)[None], box))
    assert found.intersection(drawn).area / found.union(drawn).area > 0.93


def test_largest_area_wins_over_most_points():
    mask = np.zeros((60, 60), np.uint8)
    mask[5:25, 5:25] = 1
    mask[40, 2:58] = mask[40:56:2, 2] = mask[42, 2:58:2] = 1
    cx, cy, w, h, _ = box_of(mask)
    assert (cx, cy, w, h) == pytest.approx((15, 15, 20, 20), abs=1e-3)


def test_box_of_mask_at_the_border_is_not_clipped():
    mask = np.zeros((50, 50), np.uint8)
    cv2.fillPoly(mask, [np.array([[-10, 30], [30, -10], [40, 0], [0, 40]])], 1)
    box = box_of(mask)
    polygon = corners(box[None])[0]
    assert polygon.min() < 0
    edges = np.diff(np.concatenate([polygon, polygon[:1]]), axis=0)
    np.testing.assert_allclose((edges * np.roll(edges, 1, axis=0)).sum(1), 0, atol=1e-6)


def test_empty_mask_is_refused():
    with pytest.raises(ValueError, match="empty"):
        box_of(np.zeros((5, 5), np.uint8))


@settings(max_examples=200, deadline=None)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24)), elements=st.integers(0, 1)))
def test_codes_are_those_of_pycocotools(mask):
    region = Region.of(mask)
    code = region.coded(mask.shape)
    assert code == coco.encode(np.asfortranarray(mask))["counts"]
    np.testing.assert_array_equal(decode_mask(mask.shape, code), mask)
    assert Region.decoded(mask.shape, code) == region


BOXES = np.array([[50, 50, 10, 5, 0], [51, 50, 10, 5, 0], [20, 20, 1.5, 1, 0], [50, 50, 100, 95, 0.1], [80, 80, 20, 10, 1], [80, 20, 4, 3, 0]], float)
FILL = np.array([0.9, 0.8, 1.0, 0.7, 0.2, 0.9])
SCORES = np.array([0.9, 0.8, 0.99, 0.95, 0.7, 0.3])


@pytest.mark.parametrize(
    ("changed", "kept", "dropped"),
    [
        ({"min_side": 0, "max_area_share": 1}, [0, 1, 2, 3, 4, 5], {}),
        ({}, [0, 1, 4, 5], {"min_side": 1, "max_area_share": 1}),
        ({"min_area_share": 0.002}, [0, 1, 4], {"min_side": 1, "max_area_share": 1, "min_area_share": 1}),
        ({"min_fill": 0.5}, [0, 1, 5], {"min_side": 1, "max_area_share": 1, "min_fill": 1}),
        ({"min_score": 0.5}, [0, 1, 4], {"min_side": 1, "max_area_share": 1, "min_score": 1}),
        ({"nms_thresh": 0.5}, [0, 4, 5], {"min_side": 1, "max_area_share": 1, "nms_thresh": 1}),
        ({"max_per_tile": 2}, [0, 1], {"min_side": 1, "max_area_share": 1, "max_per_tile": 2}),
    ],
)
def test_each_filter_drops_and_counts_its_own(changed, kept, dropped):
    found, lost = kept_boxes(BOXES, FILL, SCORES, 100 * 100, BoxesSettings(masks="m", **changed))
    assert found.tolist() == kept
    assert {name: number for name, number in lost.items() if number} == dropped
    assert set(lost) == set(FILTERS)


@pytest.mark.parametrize(
    ("limit", "kept"), [({"max_area_share": 0.3}, 1), ({"max_area_share": 0.2}, 0), ({"min_area_share": 0.2}, 1), ({"min_area_share": 0.3}, 0)]
)
def test_shares_are_of_the_whole_tile(limit, kept):
    """A quarter of a tile of 20 x 80 pixels."""
    mask = Mask((20, 80), Region(5, 5, 40, 10, bytes([1]) * 400), 1.0, 1.0, (20.0, 10.0))
    assert len(boxes_of_tile("t", {0: mask}, BoxesSettings(masks="m", **limit))[0]) == kept


def test_equal_scores_keep_the_first():
    boxes = np.array([[10 + 20 * i, 10, 8, 4, 0] for i in range(4)], float)
    found, _ = kept_boxes(boxes, np.ones(4), np.full(4, 0.5), 1e4, BoxesSettings(masks="m", max_per_tile=2))
    assert found.tolist() == [0, 1]
