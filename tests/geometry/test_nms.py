"""Rotated NMS against the definition, one box at a time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutdet.geometry.iou import rotated_iou
from mutdet.geometry.nms import batched_rotated_nms, descending, rotated_nms

seeds = st.integers(0, 2**32 - 1)


def crowd(seed, count):
    """Crowded boxes with scores of two digits, so that many tie, and repeated boxes."""
    r = np.random.default_rng(seed)
    boxes = np.column_stack([r.uniform(0, 120, (count, 2)), r.uniform(5, 60, count), r.uniform(2, 30, count), r.uniform(-1.5, 1.5, count)])
    boxes[count // 2 :: 7] = boxes[0] if count else 0
    return boxes, np.round(r.random(count), 2), r.integers(0, 3, count)


def naive_nms(boxes, scores, threshold):
    kept = []
    iou = rotated_iou(boxes, boxes)
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(iou[k, i] <= threshold for k in kept):
            kept.append(i)
    return kept


@settings(max_examples=60, deadline=None)
@given(seeds, st.integers(0, 300), st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
def test_is_the_greedy_definition(seed, count, threshold):
    boxes, scores, _ = crowd(seed, count)
    assert rotated_nms(boxes, scores, threshold).tolist() == naive_nms(boxes, scores, threshold)


@settings(max_examples=40, deadline=None)
@given(seeds, st.integers(0, 200))
def test_categories_do_not_suppress_each_other(seed, count):
    boxes, scores, categories = crowd(seed, count)
    kept = batched_rotated_nms(boxes, scores, categories, 0.3)
    alone = [np.flatnonzero(categories == c)[naive_nms(boxes[categories == c], scores[categories == c], 0.3)] for c in range(3)]
    expected = sorted(np.concatenate(alone).tolist(), key=lambda i: (-scores[i], i))
    assert kept.tolist() == expected
    names = np.array(["ship", "plane", "car"])[categories]
    assert batched_rotated_nms(boxes, scores, names, 0.3).tolist() == expected


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_twice_is_once(seed):
    boxes, scores, _ = crowd(seed, 200)
    kept = rotated_nms(boxes, scores, 0.2)
    assert rotated_nms(boxes[kept], scores[kept], 0.2).tolist() == list(range(len(kept)))


def test_equal_scores_keep_the_first():
    boxes = np.array([[5.0, 5, 4, 4, 0]] * 3)
    assert rotated_nms(boxes, [0.5, 0.5, 0.5], 0.5).tolist() == [0]
    assert descending([0.1, 0.7, 0.7, 0.2]).tolist() == [1, 2, 3, 0]


@pytest.mark.parametrize(("threshold", "kept"), [(0.25, [0, 1]), (0.2499999, [0])])
def test_overlap_must_exceed_the_threshold(threshold, kept):
    boxes = [[0, 0, 10, 10, 0], [0, 0, 5, 5, 0]]
    assert rotated_nms(boxes, [0.9, 0.8], threshold).tolist() == kept


def test_a_suppressed_box_suppresses_none():
    boxes = [[0, 0, 10, 10, 0], [4, 0, 10, 10, 0], [8, 0, 10, 10, 0]]
    assert rotated_nms(boxes, [0.9, 0.8, 0.7], 0.3).tolist() == [0, 2]


def test_no_boxes():
    assert rotated_nms(np.zeros((0, 5)), [], 0.5).tolist() == []
    assert batched_rotated_nms(np.zeros((0, 5)), [], [], 0.5).tolist() == []
