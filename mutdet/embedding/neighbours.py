"""Accuracy of the nearest neighbours: what features are worth without training anything on them."""

import numpy as np

from mutdet.settings.errors import UserError

_BLOCK = 1024


def comparable(categories: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """[M] whether an object's category stands in at least two groups, so that it can have a neighbour of its kind.

    Args:
        categories: [M] names or numbers.
        groups: [M] names of images.

    Raises:
        UserError: fewer than two categories do.
    """
    names, numbers = np.unique(categories, return_inverse=True)
    spread = np.array([len(np.unique(groups[numbers == number])) > 1 for number in range(len(names))], bool)
    if spread.sum() < 2:
        raise UserError("a probe needs two categories that each stand in at least two images", remedy="name a split with more labels")
    usable: np.ndarray = spread[numbers]
    return usable


def neighbour_accuracy(vectors: np.ndarray, categories: np.ndarray, groups: np.ndarray, neighbours: int) -> float:
    """Balanced accuracy of a vote among the nearest neighbours from other groups, in [0, 1].

    Every vector is classified by those nearest to it, its own group (image) left out: by the cosine of centred vectors, which is how
    stage `codebook` compares them; votes count by 1 + cosine. The mean over categories of the share that is right, so that chance is
    one in the number of categories.

    Args:
        vectors: [M, D] features.
        categories: [M] names or numbers.
        groups: [M] names of images.
        neighbours: voters, at least 1.

    Raises:
        UserError: fewer than two categories stand in at least two groups each.
    """
    kept = comparable(categories, groups)
    centred = vectors[kept] - vectors[kept].mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True).clip(min=1e-12)
    names, numbers = np.unique(categories[kept], return_inverse=True)
    groups = groups[kept]
    predicted = np.concatenate([_vote(unit, numbers, groups, slice(start, start + _BLOCK), neighbours, len(names)) for start in range(0, len(unit), _BLOCK)])
    return float(np.mean([np.mean(predicted[numbers == number] == number) for number in range(len(names))]))


def _vote(unit: np.ndarray, numbers: np.ndarray, groups: np.ndarray, rows: slice, neighbours: int, categories: int) -> np.ndarray:
    likeness = unit[rows] @ unit.T
    likeness[groups[rows, None] == groups[None, :]] = -np.inf
    nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :neighbours]
    weights = np.take_along_axis(likeness, nearest, axis=1)
    weights = np.where(np.isfinite(weights), weights + 1.0, 0.0)
    votes = np.zeros((len(nearest), categories))
    np.add.at(votes, (np.arange(len(nearest))[:, None], numbers[nearest]), weights)
    return votes.argmax(axis=1)
