"""Average precision against an independent evaluation, one detection at a time, with shapely's overlaps."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from mutdet.evaluation.average_precision import Curve, area_average_precision, voc07_average_precision
from mutdet.evaluation.metrics import average_precision_rows, compute_curves
from mutdet.evaluation.objects import Detections, EvaluationSet, GroundTruth
from mutdet.geometry.rotated_boxes import corners

CLASSES = ["plane", "ship", "tank"]
COCO = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
SHARE = 0.5
seeds = st.integers(0, 2**32 - 1)
few = st.integers(0, 40)


def random_set(seed, objects, detections, images=4, classes=3):
    """Objects of some images, some difficult, some ignored regions; detections near them, on them twice, or anywhere, with tied scores."""
    r = np.random.default_rng(seed)
    boxes = np.column_stack([r.uniform(0, 150, (objects, 2)), r.uniform(15, 60, objects), r.uniform(8, 30, objects), r.uniform(-1.5, 1.5, objects)])
    image, category = r.integers(0, images, objects), r.integers(-1, classes, objects)
    truth = GroundTruth(image, category, corners(boxes), r.random(objects) < 0.2)
    source = r.integers(0, max(objects, 1), detections)
    near = boxes[source] + r.normal(0, [1.5, 1.5, 2, 1, 0.05], (detections, 5)) if objects else np.tile([50.0, 50, 30, 10, 0], (detections, 1))
    stray = r.random(detections) < 0.3
    near[stray, :2] = r.uniform(0, 150, (stray.sum(), 2))
    found_image = np.where(stray | (objects == 0), r.integers(0, images, detections), image[source] if objects else 0)
    of_object = category[source] if objects else np.zeros(detections, int)
    found_category = np.where((r.random(detections) < 0.15) | (of_object < 0), r.integers(0, classes, detections), of_object)
    found = Detections(found_image, found_category, corners(near), np.round(r.random(detections), 1))
    return EvaluationSet([f"P{i}" for i in range(images)], CLASSES[:classes], found, truth)


def ground_truth_as_detections(data):
    objects = data.ground_truth.take(data.ground_truth.category >= 0)
    return EvaluationSet(data.images, data.categories, Detections(objects.image, objects.category, objects.polygons, np.ones(len(objects))), data.ground_truth)


def shares(p, q):
    """IoU, and the share of p inside q."""
    first, second = shapely.Polygon(p), shapely.Polygon(q)
    common = first.intersection(second).area
    return common / (first.area + second.area - common), common / first.area


def naive_curve(data, number, threshold):
    """Walk down the detections of a class; returns a list of (recall, precision) and the number of positives."""
    found, truth = data.detections, data.ground_truth
    of_class = [g for g in range(len(truth)) if truth.category[g] == number]
    positives = sum(not truth.difficult[g] for g in of_class)
    mine = sorted((d for d in range(len(found)) if found.category[d] == number), key=lambda d: (-found.scores[d], d))
    taken, right, wrong, points = set(), 0, 0, []
    for d in mine:
        best, target = -1.0, None
        for g in of_class:
            if truth.image[g] == found.image[d]:
                overlap = shares(found.polygons[d], truth.polygons[g])[0]
                if overlap > best:
                    best, target = overlap, g
        if best > threshold:
            if truth.difficult[target]:
                continue
            if target in taken:
                wrong += 1
            else:
                taken.add(target)
                right += 1
        else:
            regions = [g for g in range(len(truth)) if truth.category[g] == -1 and truth.image[g] == found.image[d]]
            if any(shares(found.polygons[d], truth.polygons[g])[1] > SHARE for g in regions):
                continue
            wrong += 1
        points.append((right / positives if positives else 0.0, right / (right + wrong)))
    return points, positives


def naive_ap(points, metric):
    if metric == "voc07":
        return sum(max([p for r, p in points if r >= t], default=0.0) for t in np.arange(0.0, 1.1, 0.1)) / 11
    area, last = 0.0, 0.0
    for position, (recall, _) in enumerate(points):
        area += (recall - last) * max(p for _, p in points[position:])
        last = recall
    return area


def figures(data, thresholds=COCO, share=SHARE):
    rows = average_precision_rows(compute_curves(data, thresholds, share), ["voc07", "area"], COCO)
    return {(row["metric"], row["threshold"], row["category"]): row for row in rows}


@settings(max_examples=100, deadline=None)
@given(seeds, few, few)
def test_is_the_naive_evaluation(seed, objects, detections):
    data = random_set(seed, objects, detections)
    rows = figures(data)
    for threshold in (0.5, 0.75):
        for number, name in enumerate(CLASSES):
            points, positives = naive_curve(data, number, threshold)
            for metric in ("voc07", "area"):
                row = rows[metric, threshold, name]
                assert row["positives"] == positives
                if positives:
                    assert row["ap"] == pytest.approx(naive_ap(points, metric), abs=1e-9)
                    assert row["recall"] == pytest.approx(points[-1][0] if points else 0)
                else:
                    assert row["ap"] is None


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_means_over_classes_and_thresholds(seed):
    data = random_set(seed, 20, 30)
    rows = figures(data)
    for metric in ("voc07", "area"):
        named = [name for name in CLASSES if rows[metric, 0.5, name]["positives"]]
        for threshold in (*COCO, None):
            mean = np.mean([rows[metric, threshold, name]["ap"] for name in named]) if named else None
            assert rows[metric, threshold, "mean"]["ap"] == (pytest.approx(mean) if named else None)
        for name in named:
            assert rows[metric, None, name]["ap"] == pytest.approx(np.mean([rows[metric, t, name]["ap"] for t in COCO]))


@settings(max_examples=30, deadline=None)
@given(seeds, st.integers(1, 60))
def test_ground_truth_as_detections_is_perfect(seed, objects):
    rows = figures(ground_truth_as_detections(random_set(seed, objects, 0)))
    assert all(row["ap"] is None or row["ap"] == pytest.approx(1.0) for row in rows.values())


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_order_of_the_detections_does_not_matter_without_ties(seed):
    data = random_set(seed, 30, 40)
    r = np.random.default_rng(seed)
    data.detections.scores[:] = r.permutation(40) / 40
    shuffled = EvaluationSet(data.images, data.categories, data.detections.take(r.permutation(40)), data.ground_truth)
    assert figures(shuffled) == figures(data)


def test_without_detections_and_without_objects():
    rows = figures(random_set(0, 12, 0))
    assert {row["ap"] for row in rows.values()} == {0.0}
    rows = figures(random_set(0, 0, 12))
    assert {row["ap"] for row in rows.values()} == {None}


def one_object(detections, scores, difficult=False, category=0):
    square = np.array([[[0.0, 0], [10, 0], [10, 10], [0, 10]]])
    zeros = np.zeros(1, np.int64)
    many = np.zeros(len(detections), np.int64)
    truth = GroundTruth(zeros, zeros + category, square, np.array([difficult]))
    return EvaluationSet(["P0"], ["ship"], Detections(many, many, np.concatenate([square + d for d in detections]), np.array(scores)), truth)


def test_a_second_detection_of_an_object_is_wrong():
    curve = compute_curves(one_object([0, 0], [0.9, 0.8]), [0.5], SHARE)["ship", 0.5]
    assert curve.precision.tolist() == [1, 0.5]


def test_detections_of_a_difficult_object_do_not_count():
    curve = compute_curves(one_object([0, 50], [0.9, 0.8], difficult=True), [0.5], SHARE)["ship", 0.5]
    assert curve.precision.tolist() == [0]
    assert curve.positives == 0


def test_an_ignored_region_absorbs_what_matches_nothing():
    curve = compute_curves(one_object([0, 1, 50], [0.9, 0.8, 0.7], category=-1), [0.5], SHARE)["ship", 0.5]
    assert curve.scores.tolist() == [0.7]


def test_overlap_must_exceed_the_threshold():
    square = np.array([[[0.0, 0], [10, 0], [10, 10], [0, 10]]])
    half = square * [1, 0.5]
    zeros = np.zeros(1, np.int64)
    data = EvaluationSet(["P0"], ["ship"], Detections(zeros, zeros, half, np.ones(1)), GroundTruth(zeros, zeros, square, np.zeros(1, bool)))
    assert figures(data)["area", 0.5, "ship"]["ap"] == 0
    assert figures(data, [0.4999])["area", 0.4999, "ship"]["ap"] == 1


def test_eleven_points_have_the_rounding_of_dotas_code():
    # 3 of 10 found: the fourth point is 0.30000000000000004, which 0.3 does not reach
    curve = Curve(np.array([0.1, 0.2, 0.3]), np.ones(3), np.ones(3), 10)
    assert voc07_average_precision(curve) == pytest.approx(3 / 11)
    assert area_average_precision(curve) == pytest.approx(0.3)


def test_blocks_of_pairs_change_nothing(monkeypatch):
    data = random_set(5, 40, 60)
    whole = figures(data)
    monkeypatch.setattr("mutdet.evaluation.matching._PAIRS_PER_BLOCK", 16)
    assert figures(data) == whole


def test_mean_over_thresholds_needs_all_of_them():
    assert all(threshold is not None for _, threshold, _ in figures(random_set(1, 20, 20), [0.5, 0.75]))
