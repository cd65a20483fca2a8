"""How a codebook is fitted to a stream of embeddings."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from mutdet.embedding.ahead import mapped_ahead, threads
from mutdet.embedding.clustering import even_sample, fit_centres
from mutdet.embedding.codebooks import Codebook
from mutdet.embedding.principal_components import fit_principal_components, whitened
from mutdet.settings.codebook import CodebookSettings
from mutdet.settings.errors import UserError


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
        components=(whitened(pca) if settings.whiten else pca.components).astype(np.float32),
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
