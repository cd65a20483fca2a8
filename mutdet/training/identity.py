"""What decides the result of a training, as one short text: a checkpoint of another one must not be resumed from."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from mutdet.settings.training import TrainingSettings
from mutdet.training.objects import PackedObjects
from mutdet.training.tile_index import TileIndex


def training_identity(settings: TrainingSettings, index: TileIndex, objects: PackedObjects, weights: Sequence[Path]) -> str:
    """Hash over settings, ids of tiles, their objects, and the files that give initial weights."""
    digest = hashlib.sha256(settings.model_dump_json(exclude={"checkpoint_minutes"}).encode())
    digest.update("\n".join(index.tile_ids).encode())
    for array in (objects.boxes, objects.labels, objects.embeddings, objects.ends):
        digest.update(b"" if array is None else array.tobytes())
    for path in weights:
        digest.update(path.read_bytes())
    return digest.hexdigest()
