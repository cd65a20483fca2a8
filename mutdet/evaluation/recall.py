"""Class-agnostic recall: how many of the objects the best boxes of each image cover."""

import numpy as np
from numpy.typing import NDArray

from mutdet.evaluation.matching import largest_iou
from mutdet.evaluation.objects import Detections, GroundTruth
from mutdet.geometry.nms import descending


def best_per_image(detections: Detections, boxes: int) -> Detections:
    """The `boxes` detections of highest score in each image, of whatever class; equal scores in the order given."""
    order = descending(detections.scores)
    order = order[np.argsort(detections.image[order], kind="stable")]
    images = detections.image[order]
    rank = np.arange(len(images)) - np.searchsorted(images, images, side="left")
    return detections.take(order[rank < boxes])


def coverage(detections: Detections, ground_truth: GroundTruth, boxes: int) -> NDArray[np.float64]:
    """[G] largest IoU of each object with one of the best boxes of its image; recall at a threshold is the share above it."""
    best = best_per_image(detections, boxes)
    return largest_iou(best.polygons, best.image, ground_truth)
