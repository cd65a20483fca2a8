"""What decides the result of a training, as one short text: a checkpoint of another one must not be resumed from."""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

from mutdet.settings.console import progress
from mutdet.settings.training import TrainingSettings
from mutdet.tables.read import iterate_rows, open_table
from mutdet.training.objects import PackedObjects
from mutdet.training.tile_index import TileIndex


def training_identity(settings: TrainingSettings, index: TileIndex, objects: PackedObjects, categories: Sequence[str], weights: Sequence[Path]) -> str:
    """Hash over settings, pixels of tiles, their objects, the detector's classes, and the files that give initial weights.

    How often state is saved does not count, nor how tiles are cut into shards.
    """
    digest = hashlib.sha256(settings.model_dump_json(exclude={"checkpoint_minutes"}).encode())
    digest.update("\n".join([*pixel_digests(index.paths, index.tile_ids), *categories]).encode())
    for array in (objects.boxes, objects.labels, objects.embeddings, objects.ends):
        digest.update(b"" if array is None else array.tobytes())
    for path in weights:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def pixel_digests(paths: Sequence[Path], tile_ids: Collection[str] | None = None) -> list[str]:
    """Id and SHA-256 of the encoded image of each tile, of all or of those named, sorted by id; one pass over the tables."""
    chosen = None if tile_ids is None else frozenset(tile_ids)
    rows = progress(iterate_rows(paths, ["tile_id", "image"]), "hash of the tiles", sum(open_table(path).metadata.num_rows for path in paths))
    return sorted(f"{row['tile_id']} {hashlib.sha256(row['image']).hexdigest()}" for row in rows if chosen is None or row["tile_id"] in chosen)
