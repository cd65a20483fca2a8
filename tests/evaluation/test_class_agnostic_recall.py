"""Class-agnostic recall against a naive count."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from mutdet.evaluation.metrics import recall_rows
from mutdet.evaluation.objects import Detections, EvaluationSet, GroundTruth
from mutdet.evaluation.recall import best_per_image
from mutdet.geometry.rotated_boxes import corners


def random_set(seed, objects=25, detections=80, images=3):
    r = np.random.default_rng(seed)
    boxes = np.column_stack([r.uniform(0, 90, (objects, 2)), r.uniform(15, 40, objects), r.uniform(8, 20, objects), r.uniform(-1.5, 1.5, objects)])
    image = r.integers(0, images, objects)
    truth = GroundTruth(image, r.integers(-1, 2, objects), corners(boxes), r.random(objects) < 0.2)
    source = r.integers(0, objects, detections)
    near = boxes[source] + r.normal(0, [2, 2, 2, 1, 0.1], (detections, 5))
    found = Detections(image[source], r.integers(-1, 2, detections), corners(near), np.round(r.random(detections), 1))
    return EvaluationSet([f"P{i}" for i in range(images)], ["plane", "ship"], found, truth)


def iou(p, q):
    first, second = shapely.Polygon(p), shapely.Polygon(q)
    common = first.intersection(second).area
    return common / (first.area + second.area - common)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 5, 100]))
def test_is_the_naive_count(seed, boxes):
    data = random_set(seed)
    found, truth = data.detections, data.ground_truth
    best = {i: sorted((d for d in range(len(found)) if found.image[d] == i), key=lambda d: (-found.scores[d], d))[:boxes] for i in range(3)}
    rows = {(row["category"], row["threshold"]): row for row in recall_rows(data, boxes, [0.5, 0.75])}
    for name, numbers in (("plane", {0}), ("ship", {1}), ("all", {0, 1})):
        wanted = [g for g in range(len(truth)) if truth.category[g] in numbers and not truth.difficult[g]]
        overlaps = [max((iou(truth.polygons[g], found.polygons[d]) for d in best[truth.image[g]]), default=0) for g in wanted]
        for threshold in (0.5, 0.75):
            row = rows[name, threshold]
            assert row["metric"] == f"recall@{boxes}"
            assert row["ap"] is None
            assert row["positives"] == len(wanted)
            assert row["recall"] == (pytest.approx(np.mean(np.array(overlaps) > threshold)) if wanted else None)


def test_best_per_image_keeps_the_first_of_equal_scores():
    image = np.array([1, 0, 1, 1, 0])
    found = Detections(image, np.zeros(5, np.int64), np.arange(40.0).reshape(5, 4, 2), np.array([0.5, 0.1, 0.9, 0.5, 0.2]))
    assert best_per_image(found, 2).polygons[:, 0, 0].tolist() == [32, 8, 16, 0]


def test_no_detection_and_no_object():
    data = random_set(0)
    nothing = EvaluationSet(data.images, data.categories, data.detections.take(np.zeros(0, np.intp)), data.ground_truth)
    assert {row["recall"] for row in recall_rows(nothing, 100, [0.5])} == {0.0}
    empty = EvaluationSet(data.images, data.categories, data.detections, data.ground_truth.take(np.zeros(0, np.intp)))
    assert {row["recall"] for row in recall_rows(empty, 100, [0.5])} == {None}
