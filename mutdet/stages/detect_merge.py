"""Stage `detect`, part merge: from tiles to whole images."""

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from mutdet.evaluation.merging import merge_tiles
from mutdet.settings.base import Runtime
from mutdet.settings.console import progress
from mutdet.settings.detect import DetectMergeFiles, DetectSettings
from mutdet.tables.detections import SCHEMA
from mutdet.tables.read import read_table
from mutdet.tables.write import write_provenance, write_table

_BOX = ["cx", "cy", "w", "h", "angle"]


def run(files: DetectMergeFiles, settings: DetectSettings, runtime: Runtime) -> None:
    """Merge detections of tiles to whole images; rows sorted by (dataset, image_id, descending score)."""
    table = read_table(files.tiles).sort_by([("dataset", "ascending"), ("image_id", "ascending"), ("tile_id", "ascending"), ("score", "descending")])
    kept = np.concatenate([np.zeros(0, np.int64), *_merged_images(table, settings)])
    merged = table.take(pa.array(kept)).select(SCHEMA.names)
    write_table(files.output, merged, SCHEMA)
    categories = Counter(merged["category"].to_pylist())
    write_provenance(files.output, settings=settings.model_dump(mode="json"), before=len(table), detections=len(merged), categories=categories)


def _merged_images(table: pa.Table, settings: DetectSettings) -> Iterator[np.ndarray]:
    """Rows that stay, image by image, in descending score."""
    boxes = np.stack([table[name].to_numpy() for name in _BOX], axis=1)
    scores, categories = table["score"].to_numpy(), np.asarray(table["category"].to_pylist(), dtype=np.str_)
    images = list(zip(table["dataset"].to_pylist(), table["image_id"].to_pylist(), strict=True))
    starts = [row for row in range(len(images)) if row == 0 or images[row] != images[row - 1]]
    for start, end in progress(list(zip(starts, [*starts[1:], len(images)], strict=True)), "merge"):
        rows = slice(start, end)
        yield start + merge_tiles(boxes[rows], scores[rows], categories[rows], settings.merge_nms, settings.max_per_image)
