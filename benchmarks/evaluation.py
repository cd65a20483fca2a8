"""Evaluation at ten thresholds with class-agnostic recall, against a loop over detections in the manner of DOTA's code."""

import argparse

import numpy as np
from measuring import Measurement, machine, measure
from shapely import Polygon

from mutdet.evaluation.metrics import average_precision_rows, compute_curves, recall_rows
from mutdet.evaluation.objects import Detections, EvaluationSet, GroundTruth
from mutdet.geometry.rotated_boxes import corners
from mutdet.settings.evaluate import COCO_THRESHOLDS

CLASSES, OBJECTS_PER_IMAGE, EXTENT = 15, 70, 2000.0


def generated(detections: int) -> EvaluationSet:
    """Ten detections for each object: one near it, the rest anywhere in its image."""
    r = np.random.default_rng(0)
    objects = detections // 10
    images = max(1, objects // OBJECTS_PER_IMAGE)
    boxes = np.column_stack([r.uniform(0, EXTENT, (objects, 2)), r.uniform(20, 80, objects), r.uniform(8, 20, objects), r.uniform(-1.57, 1.57, objects)])
    image, category = r.integers(0, images, objects), r.integers(0, CLASSES, objects)
    truth = GroundTruth(image, category, corners(boxes), r.random(objects) < 0.1)
    source = np.tile(np.arange(objects), 10)
    found = boxes[source] + r.normal(0, [1, 1, 2, 1, 0.03], (len(source), 5))
    found[objects:, :2] = r.uniform(0, EXTENT, (len(source) - objects, 2))
    names = [f"class {i}" for i in range(CLASSES)]
    return EvaluationSet([f"P{i}" for i in range(images)], names, Detections(image[source], category[source], corners(found), r.random(len(source))), truth)


def ours(detections: int) -> float:
    data = generated(detections)
    rows = average_precision_rows(compute_curves(data, COCO_THRESHOLDS, 0.5), ["voc07", "area"], COCO_THRESHOLDS)
    recall_rows(data, 100, [0.5, 0.75])
    return next(row["ap"] for row in rows if (row["metric"], row["threshold"], row["category"]) == ("area", 0.5, "mean"))


def naive(detections: int) -> float:
    """AP by area at IoU 0.5 alone."""
    data = generated(detections)
    found, truth = data.detections, data.ground_truth
    values = []
    for number in range(CLASSES):
        by_image = {i: np.flatnonzero((truth.image == i) & (truth.category == number)) for i in range(len(data.images))}
        taken: set[int] = set()
        right = []
        for d in sorted(np.flatnonzero(found.category == number), key=lambda d: -found.scores[d]):
            target, best = _best(found.polygons[d], truth, by_image[found.image[d]])
            if best <= 0.5 or not truth.difficult[target]:
                right.append(best > 0.5 and target not in taken)
                taken |= {target} if best > 0.5 else set()
        positives = np.sum((truth.category == number) & ~truth.difficult)
        precision = np.cumsum(right) / np.arange(1, len(right) + 1)
        values.append(np.sum(np.maximum.accumulate(precision[::-1])[::-1] * right) / positives)
    return float(np.mean(values))


def _best(polygon: np.ndarray, truth: GroundTruth, candidates: np.ndarray) -> tuple[int, float]:
    best, target = 0.0, -1
    for g in candidates.tolist():
        other = truth.polygons[g]
        if np.all(polygon.min(0) <= other.max(0)) and np.all(other.min(0) <= polygon.max(0)):
            first, second = Polygon(polygon), Polygon(other)
            common = first.intersection(second).area
            overlap = common / (first.area + second.area - common)
            best, target = max((best, target), (overlap, g))
    return target, best


def show(name: str, result: Measurement, detections: int, ratio: float) -> None:
    extra = result.megabytes - result.start_megabytes
    print(f"{name:<52}{result.seconds:8.2f} s {result.seconds / detections * 1e6:8.1f} us a detection {extra:6.0f} MB more {ratio:7.1f} x ours")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--detections", type=int, default=100_000)
    parser.add_argument("--naive-detections", type=int, default=10_000, help="detections given to the loop, and to ours for the ratio")
    given = parser.parse_args()
    print(machine())
    large, small, slow = measure(ours, given.detections), measure(ours, given.naive_detections), measure(naive, given.naive_detections)
    show(f"ours, {given.detections} detections, all figures", large, given.detections, 1)
    show(f"ours, {given.naive_detections} detections, all figures", small, given.naive_detections, 1)
    show(f"loop, {given.naive_detections} detections, one threshold", slow, given.naive_detections, slow.seconds / small.seconds)
    print(f"AP at IoU 0.5: ours {small.value:.6f}, loop {slow.value:.6f}")


if __name__ == "__main__":
    main()
