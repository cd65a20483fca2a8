"""Which labelled object each detection overlaps most: computed once for all thresholds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mutdet.evaluation.objects import NO_CLASS, Detections, GroundTruth
from mutdet.geometry.iou import polygon_iou_pairs
from mutdet.geometry.polygons import areas, horizontal_boxes, intersection_areas
from mutdet.settings.console import progress

Indices = NDArray[np.intp]
_PAIRS_PER_BLOCK = 1 << 21
"""Candidate pairs of a detection and an object held in memory at once."""


@dataclass(frozen=True)
class Matches:
    """Overlaps of detections with the labels.

    Attributes:
        iou: [D] largest IoU with an object of the same image and class; 0 where there is none.
        target: [D] that object, the first in label order where several tie.
        absorbed: [D] whether the detection lies in a region to be ignored.
    """

    iou: NDArray[np.float64]
    target: Indices
    absorbed: NDArray[np.bool_]


def match(detections: Detections, ground_truth: GroundTruth, ignore_share: float) -> Matches:
    """Overlaps of all detections; regions to be ignored (`NO_CLASS`) absorb detections of any class.

    Args:
        detections: of any images and classes.
        ground_truth: objects and regions of the same images.
        ignore_share: share of a detection's area inside one region above which it is absorbed.
    """
    iou, target = np.zeros(len(detections)), np.zeros(len(detections), np.intp)
    classes = 1 + max(detections.category.max(initial=0), ground_truth.category.max(initial=0))
    objects = np.flatnonzero(ground_truth.category != NO_CLASS)
    known = np.flatnonzero(detections.category != NO_CLASS)
    found, labelled = detections.take(known), ground_truth.take(objects)
    groups = found.image * classes + found.category, labelled.image * classes + labelled.category
    for rows, columns in progress(_touching(found.polygons, groups[0], labelled.polygons, groups[1]), "evaluate: blocks of overlaps"):
        overlap = polygon_iou_pairs(found.polygons[rows], labelled.polygons[columns])
        best, first = _first_largest(rows, overlap)
        iou[known[best]], target[known[best]] = overlap[first], objects[columns[first]]
    return Matches(iou, target, _absorbed(detections, ground_truth.take(ground_truth.category == NO_CLASS), ignore_share))


def _absorbed(detections: Detections, regions: GroundTruth, ignore_share: float) -> NDArray[np.bool_]:
    absorbed = np.zeros(len(detections), bool)
    for rows, columns in _touching(detections.polygons, detections.image, regions.polygons, regions.image):
        common = intersection_areas(detections.polygons[rows], regions.polygons[columns])
        absorbed[rows[common > ignore_share * areas(detections.polygons[rows])]] = True
    return absorbed


def largest_iou(polygons: NDArray[np.float64], images: NDArray[np.int64], ground_truth: GroundTruth) -> NDArray[np.float64]:
    """[G] largest IoU of each labelled object with any of the polygons [D, 4, 2] of its image, whatever their class."""
    result = np.zeros(len(ground_truth))
    for rows, columns in _touching(ground_truth.polygons, ground_truth.image, polygons, images):
        np.maximum.at(result, rows, polygon_iou_pairs(ground_truth.polygons[rows], polygons[columns]))
    return result


def _first_largest(rows: Indices, values: NDArray[np.float64]) -> tuple[Indices, Indices]:
    """Distinct rows, and for each the position of its largest value, the first of equal ones. `rows` is sorted."""
    distinct, starts = np.unique(rows, return_index=True)
    largest = np.maximum.reduceat(values, starts) if len(starts) else values
    positions = np.flatnonzero(values == np.repeat(largest, np.diff(starts, append=len(rows))))
    return distinct, positions[np.unique(rows[positions], return_index=True)[1]]


def _touching(a: NDArray[np.float64], groups_a: NDArray[np.int64], b: NDArray[np.float64], groups_b: NDArray[np.int64]) -> Iterator[tuple[Indices, Indices]]:
    """Blocks of pairs (i, j) of one group whose horizontal boxes touch, sorted by i, then j; all pairs of an i in one block."""
    order = np.argsort(groups_b, kind="stable")
    starts = np.searchsorted(groups_b[order], groups_a, side="left")
    counts = np.searchsorted(groups_b[order], groups_a, side="right") - starts
    outlines_a, outlines_b = horizontal_boxes(a), horizontal_boxes(b)
    blocks = np.cumsum(counts) // _PAIRS_PER_BLOCK
    for members in np.split(np.arange(len(a)), np.flatnonzero(np.diff(blocks)) + 1):
        rows = np.repeat(members, counts[members])
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts[members]) - counts[members], counts[members])
        columns = order[np.repeat(starts[members], counts[members]) + within]
        first, second = outlines_a[rows], outlines_b[columns]
        touch = np.all((first[:, :2] <= second[:, 2:]) & (second[:, :2] <= first[:, 2:]), axis=1)
        yield rows[touch], columns[touch]
