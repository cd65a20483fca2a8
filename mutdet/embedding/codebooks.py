"""The codebook: projection of embeddings and centres of pseudo-classes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from safetensors.numpy import load_file

from mutdet.embedding.unit_vectors import unit_length
from mutdet.settings.errors import UserError
from mutdet.tables.weights import read_metadata, write_weights

_KERNEL_ROWS = 256


@dataclass(frozen=True)
class Codebook:
    """What turns an embedding of D numbers into a unit vector of P numbers and a pseudo-class of N.

    Attributes:
        mean: [D] float32.
        components: [P, D] float32, orthogonal; of unit length, or whitened; zero rows where the data had fewer directions.
        explained_variance: [P] float32, along the directions of `components`, before any whitening.
        total_variance: [1] float32, of all D directions.
        centres: [N, P] float32, unit length.
    """

    mean: np.ndarray
    components: np.ndarray
    explained_variance: np.ndarray
    total_variance: np.ndarray
    centres: np.ndarray

    def project(self, vectors: np.ndarray) -> np.ndarray:
        """Unit vectors [rows, P] float32 of embeddings [rows, D]; an embedding equal to the mean becomes the first axis."""
        return unit_length(_product(vectors - self.mean, self.components.T)).astype(np.float32)

    def assign(self, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Nearest centre by cosine [rows] int32 and that cosine [rows] float32, of unit vectors [rows, P]."""
        cosines = _product(unit, self.centres.T)
        nearest = cosines.argmax(axis=1).astype(np.int32)
        return nearest, np.clip(cosines[np.arange(len(unit)), nearest], -1.0, 1.0).astype(np.float32)

    def spread(self) -> float:
        """How many directions of equal variance projected embeddings are worth: the participation ratio of their variances, 1 to P.

        Near 1 they lie along one line, so that unit vectors point one of two ways. 0 where all embeddings are the same.
        """
        variances = self.explained_variance.astype(np.float64) * (self.components.astype(np.float64) ** 2).sum(axis=1)
        return float(variances.sum() ** 2 / max((variances**2).sum(), 1e-300))

    def save(self, path: Path) -> None:
        """Write safetensors with the attributes' names."""
        write_weights(path, vars(self), {"kind": "codebook"})

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            UserError: the file is missing, cut off or no codebook.
        """
        if read_metadata(path).get("kind") != "codebook":
            raise UserError("is no codebook", file=path, remedy="run the codebook stage")
        return cls(**load_file(path))


def _product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """`left @ right` in float64, in blocks of constant size, the last filled up with zeros.

    So that a row's result does not depend on its neighbours: BLAS takes rows at the end of a matrix in another order than those before, on some processors
    at the end of a block too. In float64 that moves a number by 1e-15 of its size, which rounding hides but for one in many millions.
    """
    factor = right.astype(np.float64)
    block = np.empty((_KERNEL_ROWS, left.shape[1]))
    result = np.empty((len(left), right.shape[1]))
    for start in range(0, len(left), _KERNEL_ROWS):
        rows = left[start : start + _KERNEL_ROWS]
        block[: len(rows)], block[len(rows) :] = rows, 0.0
        result[start : start + _KERNEL_ROWS] = (block @ factor)[: len(rows)]
    return result
