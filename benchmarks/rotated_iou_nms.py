"""Rotated IoU of overlapping pairs, against shapely and OpenCV, and rotated NMS, against one comparison at a time."""

import argparse
import time

import cv2
import numpy as np
import shapely
from measuring import Measurement, machine, measure

from mutdet.geometry.iou import rotated_iou_pairs
from mutdet.geometry.nms import rotated_nms
from mutdet.geometry.rotated_boxes import corners

THRESHOLD = 0.1


def boxes_in(count: int, extent: float, seed: int) -> np.ndarray:
    """Boxes of 4 to 60 px, centres spread over a square of `extent` px far from the origin."""
    r = np.random.default_rng(seed)
    return np.column_stack([r.uniform(0, extent, (count, 2)) + 3000, r.uniform(20, 60, count), r.uniform(4, 20, count), r.uniform(-1.57, 1.57, count)])


def pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    return boxes_in(count, 15, 0), boxes_in(count, 15, 1)


def ours(count: int) -> np.ndarray:
    return rotated_iou_pairs(*pairs(count))


def with_shapely(count: int) -> np.ndarray:
    a, b = (shapely.polygons(corners(boxes)) for boxes in pairs(count))
    common = shapely.area(shapely.intersection(a, b))
    return common / (shapely.area(a) + shapely.area(b) - common)


def with_opencv(count: int) -> np.ndarray:
    a, b = pairs(count)
    first, second = (corners(boxes).astype(np.float32) for boxes in (a, b))
    common = np.array([cv2.intersectConvexConvex(p, q)[0] for p, q in zip(first, second, strict=True)])
    return common / (a[:, 2] * a[:, 3] + b[:, 2] * b[:, 3] - common)


def scored(count: int) -> tuple[np.ndarray, np.ndarray]:
    return boxes_in(count, 30 * count**0.5, 2), np.random.default_rng(3).random(count)


def our_nms(count: int) -> list[int]:
    return rotated_nms(*scored(count), THRESHOLD).tolist()


def naive_nms(count: int) -> list[int]:
    """Each box against all kept ones, horizontal boxes first."""
    boxes, scores = scored(count)
    shapes = shapely.polygons(corners(boxes))
    outlines, areas = shapely.bounds(shapes).tolist(), shapely.area(shapes).tolist()
    kept: list[int] = []
    for i in np.argsort(-scores).tolist():
        x0, y0, x1, y1 = outlines[i]
        near = (k for k in kept if outlines[k][0] <= x1 and outlines[k][2] >= x0 and outlines[k][1] <= y1 and outlines[k][3] >= y0)
        common = ((shapes[k].intersection(shapes[i]).area, areas[k] + areas[i]) for k in near)
        if all(area <= THRESHOLD * (both - area) for area, both in common):
            kept.append(i)
    return kept


def our_nms_of_many(count: int) -> int:
    return len(our_nms(count))


def loading() -> float:
    """Seconds that the first call in a process takes, once the compiled loop lies on disk."""
    start = time.perf_counter()
    ours(2)
    return time.perf_counter() - start


FIRST_CALL = loading()
"""Done while this module is imported, so that no figure holds it."""


def show(name: str, result: Measurement, base: Measurement, each: int, note: str) -> None:
    extra = result.megabytes - result.start_megabytes
    print(f"{name:<34}{result.seconds / each * 1e6:9.2f} us each {extra:7.0f} MB more {result.seconds / base.seconds:8.1f} x ours   {note}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--boxes", type=int, default=3_000)
    parser.add_argument("--many", type=int, default=100_000, help="boxes given to ours alone")
    given = parser.parse_args()
    print(f"{machine()}; the first call of a process takes {FIRST_CALL:.1f} s more")
    mine, exact, opencv = (measure(function, given.pairs) for function in (ours, with_shapely, with_opencv))
    print(f"IoU of {given.pairs} pairs, {np.mean(exact.value > 0):.0%} of them overlapping; shares of a pair's union that differ from shapely's at most:")
    show("ours", mine, mine, given.pairs, f"{np.abs(mine.value - exact.value).max():.1e}")
    show("shapely, vectorised", exact, mine, given.pairs, "0")
    show("cv2.intersectConvexConvex, loop", opencv, mine, given.pairs, f"{np.abs(opencv.value - exact.value).max():.1e}")
    fast, slow = measure(our_nms, given.boxes), measure(naive_nms, given.boxes)
    print(f"NMS of {given.boxes} boxes at IoU {THRESHOLD}, {len(fast.value)} kept:")
    show("ours", fast, fast, given.boxes, "")
    show("one comparison at a time, shapely", slow, fast, given.boxes, "the same boxes" if slow.value == fast.value else "OTHER BOXES")
    most = measure(our_nms_of_many, given.many)
    print(f"ours, {given.many} boxes, {most.value} kept: {most.seconds:.2f} s, {most.megabytes - most.start_megabytes:.0f} MB more")


if __name__ == "__main__":
    main()
