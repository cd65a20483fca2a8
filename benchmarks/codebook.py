"""Codebook of 100,000 and, with --million, 1,000,000 embeddings of 2048 numbers, against scikit-learn's PCA in memory.

Needs 0.4 GB of disk for temporary tables, 4 GB with --million. `OMP_NUM_THREADS=2 python benchmarks/codebook.py --million` takes two threads.
"""

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
from measuring import Measurement, machine, measure
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from mutdet.embedding.ahead import threads
from mutdet.embedding.object_stream import vector_blocks
from mutdet.embedding.principal_components import fit_principal_components
from mutdet.settings.base import Runtime
from mutdet.settings.codebook import CodebookFiles, CodebookSettings
from mutdet.stages import codebook
from mutdet.tables import embeddings
from mutdet.tables.read import read_table
from mutdet.tables.vectors import column_to_vectors, vectors_to_column
from mutdet.tables.write import TableWriter

WIDTH, COMPONENTS, SHARDS = 2048, 256, 4
_TILE_ROWS = 50


def write_shard(path: Path, rows: int, shard: int) -> None:
    """Synthetic embeddings in 300 groups; shards interleave tile by tile."""
    random = np.random.default_rng(shard)
    groups = np.random.default_rng(99).normal(size=(300, WIDTH)).astype(np.float32)
    schema = embeddings.schema(WIDTH)
    with TableWriter(path, schema, rows_per_group=256) as writer:
        for start in range(0, rows, 1000):
            numbers = np.arange(start, min(start + 1000, rows))
            tiles = [f"image{number // _TILE_ROWS * SHARDS + shard:07d}__800__0___0" for number in numbers]
            vectors = groups[random.integers(0, 300, len(numbers))] + random.standard_normal((len(numbers), WIDTH), np.float32)
            columns = [pa.array(tiles), pa.array(numbers % _TILE_ROWS, pa.int32()), vectors_to_column(vectors)]
            writer.write(pa.table(columns, schema=schema))


def whole_stage(paths: list[Path], folder: Path) -> None:
    files = CodebookFiles(embeddings=paths, output=folder / "codebook.safetensors", cluster_table=folder / "clusters.parquet")
    codebook.run(files, CodebookSettings(embed="synthetic", components=COMPONENTS), Runtime())


def streamed_pca(paths: list[Path]) -> np.ndarray:
    with threadpool_limits(limits=1):
        return fit_principal_components(vector_blocks(paths), WIDTH, COMPONENTS).components


def scikit_learn_pca(paths: list[Path]) -> np.ndarray:
    with threadpool_limits(limits=1):
        vectors = np.concatenate([column_to_vectors(read_table(path)["embedding"]) for path in paths])
        return PCA(COMPONENTS, svd_solver="covariance_eigh").fit(vectors).components_


def show(name: str, measured: Measurement) -> None:
    print(f"{name:44s} {measured.seconds:8.1f} s {measured.megabytes:8.0f} MB peak ({measured.start_megabytes:.0f} MB before)")


def benchmark(rows: int, *, compare: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name) / f"{shard:02d}-of-{SHARDS:02d}.parquet" for shard in range(SHARDS)]
        for shard, path in enumerate(paths):
            write_shard(path, rows // SHARDS, shard)
        print(f"{rows} x {WIDTH}, {SHARDS} shards, {sum(path.stat().st_size for path in paths) / 1e9:.2f} GB on disk, {threads()} threads")
        show("codebook stage (PCA, k-means, sizes)", measure(partial(whole_stage, paths), Path(name) / "out"))
        ours = measure(streamed_pca, paths)
        show("PCA alone, streamed, float64", ours)
        if compare:
            theirs = measure(scikit_learn_pca, paths)
            show("scikit-learn PCA, all rows in memory, float32", theirs)
            cosines = np.abs((ours.value * theirs.value).sum(axis=1))
            print(f"ratio: {theirs.seconds / ours.seconds:.2f} x the time, {theirs.megabytes / ours.megabytes:.1f} x the memory of ours;", end=" ")
            print(f"components agree to |cos| >= {cosines.min():.6f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--million", action="store_true", help="also 1,000,000 rows: 4 GB of disk, some minutes")
    million = parser.parse_args().million
    print(machine())
    benchmark(100_000, compare=True)
    if million:
        benchmark(1_000_000, compare=False)
