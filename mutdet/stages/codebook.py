"""Stage `codebook`: PCA and k-means of the embeddings of all data sets."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from mutdet.embedding.codebook_fitting import Clusters, fit_codebook
from mutdet.embedding.object_stream import BLOCK_ROWS, embedding_width, vector_blocks
from mutdet.settings.base import Runtime
from mutdet.settings.codebook import CodebookFiles, CodebookSettings
from mutdet.settings.console import log, progress
from mutdet.tables import clusters as clusters_table
from mutdet.tables.read import open_table
from mutdet.tables.write import write_provenance, write_table

_FEW_DIRECTIONS = 2.0
"""With fewer, unit vectors point little but one of two ways."""


def run(files: CodebookFiles, settings: CodebookSettings, runtime: Runtime) -> None:
    """Fit the codebook and write it with its cluster sizes; threads share the work so that sums are the same on every number of cores."""
    width = embedding_width(files.embeddings)
    with threadpool_limits(limits=1):
        codebook, clusters = fit_codebook(partial(_pass, files.embeddings), width, settings)
    objects = int(clusters.size.sum())
    share = float(codebook.explained_variance.sum() / max(codebook.total_variance[0], 1e-30))
    log.info("codebook: %d objects, %d clusters, %.1f %% of the variance kept", objects, len(clusters.size), 100 * share)
    if codebook.spread() < _FEW_DIRECTIONS and not settings.whiten:
        log.warning(
            "codebook: embeddings are worth %.1f directions of equal variance, so pseudo-classes tell objects hardly apart; see whiten", codebook.spread()
        )
    codebook.save(files.output)
    write_table(files.cluster_table, _rows(clusters, objects), clusters_table.SCHEMA)
    write_provenance(
        files.cluster_table,
        settings=settings.model_dump(mode="json"),
        objects=objects,
        clusters=len(clusters.size),
        variance_share=share,
        spread=codebook.spread(),
    )


def _pass(embeddings: Sequence[Path]) -> Iterator[np.ndarray]:
    """One of the passes over all embeddings, block by block."""
    rows = sum(open_table(path).metadata.num_rows for path in embeddings)
    return progress(vector_blocks(embeddings), "codebook: pass over the embeddings", -(-rows // BLOCK_ROWS))


def _rows(clusters: Clusters, objects: int) -> list[dict[str, float | int | None]]:
    columns = zip(clusters.size.tolist(), clusters.mean_similarity.tolist(), clusters.min_similarity.tolist(), strict=True)
    return [
        {
            "cluster": cluster,
            "size": size,
            "share": size / objects,
            "mean_similarity": None if math.isnan(mean) else mean,
            "min_similarity": None if math.isnan(least) else least,
        }
        for cluster, (size, mean, least) in enumerate(columns)
    ]
