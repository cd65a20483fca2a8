"""Detections and labelled objects of a set of images, as arrays."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

NO_CLASS = -1
"""Category of a detection or label whose class is not evaluated."""


@dataclass(frozen=True)
class _Rows:
    """Arrays of one length, taken apart by rows together."""

    image: NDArray[np.int64]
    category: NDArray[np.int64]
    polygons: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Self:
        """The same with the chosen rows only."""
        return type(self)(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})


@dataclass(frozen=True)
class Detections(_Rows):
    """Boxes that a detector found.

    Attributes:
        image: [D] number of the image.
        category: [D] number of the class, or `NO_CLASS`.
        polygons: [D, 4, 2] corners in pixels of the image.
        scores: [D] finite confidences.
    """

    scores: NDArray[np.float64]


@dataclass(frozen=True)
class GroundTruth(_Rows):
    """Labelled objects.

    Attributes:
        image: [G] number of the image.
        category: [G] number of the class, or `NO_CLASS` for a region to be ignored.
        polygons: [G, 4, 2] quadrilaterals as given, in pixels of the image.
        difficult: [G] whether the object counts neither as found nor as missed.
    """

    difficult: NDArray[np.bool_]


@dataclass(frozen=True)
class EvaluationSet:
    """What is evaluated: the objects, and the names behind their numbers.

    Attributes:
        images: ids of all evaluated images, those without any object included.
        categories: names of the classes.
        detections: what was found.
        ground_truth: what was labelled.
    """

    images: list[str]
    categories: list[str]
    detections: Detections
    ground_truth: GroundTruth
