"""Principal components from one pass over blocks of rows."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.linalg.blas import dsyrk

_RANK_TOLERANCE = 1e-10


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


def fit_principal_components(blocks: Iterable[np.ndarray], width: int, count: int) -> PrincipalComponents:
    """Exact principal components, without whitening; memory is a few [D, D] matrices.

    Sums and products are accumulated in float64, block by block in the order given, around the first block's mean
    so that they do not cancel. Signs: the largest coefficient of every direction is positive.

    Args:
        blocks: arrays [rows, D].
        width: D.
        count: P; directions beyond the rank of the data become zero.
    """
    shift = np.zeros(width)
    total = np.zeros(width)
    products = np.zeros((width, width), order="F")
    rows = 0
    for block in blocks:
        if not rows:
            shift = block.mean(axis=0, dtype=np.float64)
        centred = block - shift
        total += centred.sum(axis=0)
        products = dsyrk(1.0, centred.T, beta=1.0, c=products, overwrite_c=True)
        rows += len(block)
    offset = total / max(rows, 1)
    covariance = (products - rows * np.triu(np.outer(offset, offset))) / max(rows - 1, 1)
    components, variance = _directions(covariance, count)
    return PrincipalComponents(shift + offset, components, variance, float(np.trace(covariance)), rows)


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
