"""Settings of the codebook: projection and cluster centres of the embeddings."""

from pathlib import Path

from pydantic import Field

from mutdet.settings.base import Files, Seed, Settings, Variant


class CodebookSettings(Settings):
    """PCA, with or without whitening, unit length, k-means (docs/method.md A); memory depends on these settings, not on the number of objects."""

    embed: Variant = Field(description="Variant of the embed stage.")
    datasets: list[Variant] = Field([], description="Data sets whose objects count; empty takes all.")
    components: int = Field(256, ge=1, description="Numbers that an embedding is projected to; the detector's width.")
    whiten: bool = Field(False, description="Scale components to equal variance: for embeddings whose variance lies in a few directions, which the log tells.")
    clusters: int = Field(256, ge=1, description="Cluster centres, the pseudo-classes of pre-training; at most one per object.")
    sample_rows: int = Field(100_000, ge=1, description="Objects, drawn evenly, that k-means runs on; all where there are fewer. Bounds memory.")
    iterations: int = Field(100, ge=1, description="Largest number of Lloyd's iterations.")
    restarts: int = Field(1, ge=1, description="Runs of k-means from other first centres; the best is kept.")
    seed: Seed = Field(0, description="Seed of the draw and of the first centres.")


class CodebookFiles(Files):
    """Fit projection and cluster centres to the embeddings of all data sets."""

    written = ("output", "cluster_table")

    embeddings: list[Path] = Field(description="Tables of embeddings, in any order.")
    output: Path = Field(description="Codebook to write, safetensors: mean, components, explained_variance, total_variance, centres.")
    cluster_table: Path = Field(description="Table of cluster sizes to write.")
