"""The codebook: projection of embeddings and centres of pseudo-classes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from safetensors.numpy import load_file

from mutdet.embedding.ahead import mapped_ahead, threads
from mutdet.embedding.clustering import even_sample, fit_centres, unit_length
from mutdet.embedding.principal_components import fit_principal_components
from mutdet.settings.codebook import CodebookSettings
from mutdet.settings.errors import UserError
from mutdet.tables.weights import read_metadata, write_weights

_KERNEL_ROWS = 256


@dataclass(frozen=True)
class Codebook:
    """What turns an embedding of D numbers into a unit vector of P numbers and a pseudo-class of N.

    Attributes:
        mean: [D] float32.
        components: [P, D] float32; zero rows where the data had fewer directions.
        explained_variance: [P] float32.
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
        return unit_length(_constant_size_product(vectors - self.mean, self.components.T))

    def assign(self, unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Nearest centre by cosine [rows] int32 and that cosine [rows] float32, of unit vectors [rows, P]."""
        cosines = _constant_size_product(unit, self.centres.T)
        nearest = cosines.argmax(axis=1).astype(np.int32)
        return nearest, np.clip(cosines[np.arange(len(unit)), nearest], -1.0, 1.0)

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


@dataclass(frozen=True)
class Clusters:
    """How the objects spread over the centres: [N] each.

    Attributes:
        size: objects whose nearest centre this is, int64.
        mean_similarity: mean cosine to the centre, NaN where there is no object.
        min_similarity: smallest cosine, NaN where there is no object.
    """

    size: np.ndarray
    mean_similarity: np.ndarray
    min_similarity: np.ndarray


def fit_codebook(blocks: Callable[[], Iterable[np.ndarray]], width: int, settings: CodebookSettings) -> tuple[Codebook, Clusters]:
    """Fit projection and centres in three passes: covariance, even sample for k-means, sizes. Larger clusters come first.

    Args:
        blocks: starts a pass over all embeddings [rows, D]; the same blocks each time.
        width: D.
        settings: of the codebook stage.

    Raises:
        UserError: there is no object.
    """
    pca = fit_principal_components(blocks(), width, settings.components)
    if not pca.rows:
        raise UserError("no object to fit a codebook to: all embedding tables are empty", remedy="loosen the filters of masks and boxes, or add images")
    projection = Codebook(
        mean=pca.mean.astype(np.float32),
        components=pca.components.astype(np.float32),
        explained_variance=pca.explained_variance.astype(np.float32),
        total_variance=np.array([pca.total_variance], np.float32),
        centres=np.zeros((0, settings.components), np.float32),
    )
    sample = np.empty((min(pca.rows, settings.sample_rows), settings.components), np.float32)
    filled = 0
    for part in even_sample(blocks(), pca.rows, settings.sample_rows, settings.seed):
        sample[filled : filled + len(part)] = projection.project(part)
        filled += len(part)
    centres = fit_centres(sample, settings.clusters, iterations=settings.iterations, restarts=settings.restarts, seed=settings.seed)
    clusters = _measure(replace(projection, centres=centres), blocks())
    order = np.argsort(-clusters.size, kind="stable")
    ordered = Clusters(clusters.size[order], clusters.mean_similarity[order], clusters.min_similarity[order])
    return replace(projection, centres=centres[order]), ordered


def _measure(codebook: Codebook, blocks: Iterable[np.ndarray]) -> Clusters:
    count = len(codebook.centres)
    size, total, least = np.zeros(count, np.int64), np.zeros(count), np.full(count, np.inf)
    for nearest, similarity in mapped_ahead(lambda block: codebook.assign(codebook.project(block)), blocks, threads()):
        size += np.bincount(nearest, minlength=count)
        total += np.bincount(nearest, similarity, minlength=count)
        np.minimum.at(least, nearest, similarity)
    used = size > 0
    mean = np.divide(total, size, out=np.full(count, np.nan), where=used)
    return Clusters(size, mean, np.where(used, least, np.nan))


def _constant_size_product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """`left @ right` in blocks of constant size, the last filled up with zeros, so that a row's result does not depend on its neighbours' number."""
    left = np.ascontiguousarray(left, np.float32)
    padded = np.zeros((-(-len(left) // _KERNEL_ROWS) * _KERNEL_ROWS, left.shape[1]), np.float32)
    padded[: len(left)] = left
    result = np.empty((len(padded), right.shape[1]), np.float32)
    for start in range(0, len(padded), _KERNEL_ROWS):
        np.matmul(padded[start : start + _KERNEL_ROWS], right, out=result[start : start + _KERNEL_ROWS])
    return result[: len(left)]
