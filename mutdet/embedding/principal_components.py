"""Principal components from one pass over blocks of rows."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.linalg import eigh

from mutdet.embedding.ahead import threads

_RANK_TOLERANCE = 1e-10
_PANEL = 512
"""Columns of the matrix of products that a thread adds up at a time."""


@dataclass(frozen=True)
class PrincipalComponents:
    """Projection of vectors with D numbers on P directions.

    Attributes:
        mean: [D] float64.
        components: [P, D] float64, orthonormal rows by falling variance; zero rows where the data has no more directions.
        explained_variance: [P] float64, of the rows fitted, divided by rows - 1; zero for zero rows of `components`.
        total_variance: sum over all D directions.
        rows: rows fitted.
    """

    mean: np.ndarray
    components: np.ndarray
    explained_variance: np.ndarray
    total_variance: float
    rows: int


def whitened(pca: PrincipalComponents) -> np.ndarray:
    """Components [P, D] scaled so that each projection of the rows fitted has variance 1; zero rows stay zero."""
    scales = np.zeros_like(pca.explained_variance)
    np.divide(1.0, np.sqrt(pca.explained_variance), out=scales, where=pca.explained_variance > 0)
    return pca.components * scales[:, None]


def fit_principal_components(blocks: Iterable[np.ndarray], width: int, count: int) -> PrincipalComponents:
    """Exact principal components; memory is a few [D, D] matrices.

    Sums and products are accumulated in float64, block by block in the order given, around the first block's mean
    so that they do not cancel. Threads share the products, each with BLAS of one thread: the caller sees to that.
    Signs: the largest coefficient of every direction is positive.

    Args:
        blocks: arrays [rows, D].
        width: D.
        count: P; directions beyond the rank of the data become zero.
    """
    shift, total = np.zeros(width), np.zeros(width)
    products = np.zeros((width, width))
    rows = 0
    with ThreadPoolExecutor(threads()) as pool:
        for block in blocks:
            if not rows:
                shift = block.mean(axis=0, dtype=np.float64)
            centred = block - shift
            total += centred.sum(axis=0)
            list(pool.map(partial(_add_products, products, centred), *_panels(width)))
            rows += len(block)
    offset = total / max(rows, 1)
    covariance = (products - rows * np.triu(np.outer(offset, offset))) / max(rows - 1, 1)
    components, variance = _directions(covariance, count)
    return PrincipalComponents(shift + offset, components, variance, float(np.trace(covariance)), rows)


def _panels(width: int) -> tuple[list[slice], list[slice]]:
    """Pairs of ranges that cover the upper triangle, larger pairs first; they depend on the width alone, so that sums do not depend on the threads."""
    ranges = [slice(start, min(start + _PANEL, width)) for start in range(0, width, _PANEL)]
    pairs = [(first, second) for number, first in enumerate(ranges) for second in ranges[number + 1 :]] + [(both, both) for both in ranges]
    return [first for first, _ in pairs], [second for _, second in pairs]


def _add_products(products: np.ndarray, centred: np.ndarray, first: slice, second: slice) -> None:
    """Add the products of two ranges of the columns of centred [rows, D] to those of the blocks before."""
    products[first, second] += centred[:, first].T @ centred[:, second]


def _directions(upper: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Leading eigenvectors [count, D] and eigenvalues [count] of a symmetric matrix given by its upper triangle."""
    width = len(upper)
    found = min(count, width)
    values, vectors = eigh(upper, lower=False, subset_by_index=[width - found, width - 1])
    values, vectors = values[::-1], vectors.T[::-1]
    vectors = vectors * np.sign(np.take_along_axis(vectors, np.abs(vectors).argmax(axis=1)[:, None], axis=1))
    real = values > max(values[0], 0.0) * _RANK_TOLERANCE
    components, variance = np.zeros((count, width)), np.zeros(count)
    components[:found][real], variance[:found][real] = vectors[real], values[real]
    return components, variance
