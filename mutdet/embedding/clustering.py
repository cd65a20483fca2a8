"""Cluster centres of unit vectors."""

import warnings
from collections.abc import Iterable, Iterator

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from mutdet.embedding.unit_vectors import unit_length
from mutdet.settings.seeds import generator_for, seed_for


def even_sample(blocks: Iterable[np.ndarray], rows: int, wanted: int, seed: int) -> Iterator[np.ndarray]:
    """Parts of blocks that together are `wanted` rows drawn evenly, without replacement, from a stream of `rows`.

    Selection sampling: each block gives a hypergeometric number of rows, so nothing but one block is in memory.
    """
    generator = generator_for(seed, "codebook", "sample")
    wanted = min(rows, wanted)
    for block in blocks:
        count = int(generator.hypergeometric(wanted, rows - wanted, len(block))) if wanted else 0
        yield block[np.sort(generator.choice(len(block), count, replace=False))]
        rows -= len(block)
        wanted -= count


def fit_centres(vectors: np.ndarray, clusters: int, *, iterations: int, restarts: int, seed: int) -> np.ndarray:
    """Unit centres [N, P] of unit vectors [rows, P], N = min(clusters, rows), by scikit-learn's k-means++ and Lloyd.

    Lloyd on an even sample rather than mini-batches on everything: 256 centres of 100,000 rows take half a minute, every
    centre then rests on hundreds of rows, and the outcome depends on no batch order. Where distinct rows are
    fewer than centres, some centres are equal.
    """
    state = seed_for(seed, "codebook", "k-means") % 2**32
    model = KMeans(min(clusters, len(vectors)), n_init=restarts, max_iter=iterations, random_state=state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return unit_length(model.fit(vectors).cluster_centers_)
