"""Stage `detect`, part tiles: inference."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from mutdet.detectors.weights import load_detector
from mutdet.embedding.devices import prepare_device
from mutdet.evaluation.inference import TileInference
from mutdet.settings.base import Runtime
from mutdet.settings.console import progress
from mutdet.settings.detect import DetectSettings, DetectTilesFiles
from mutdet.tables.detections import TILE_SCHEMA
from mutdet.tables.read import iterate_rows, open_table
from mutdet.tables.write import TableWriter, write_provenance

_TILE_COLUMNS = ["tile_id", "dataset", "image_id", "x", "y", "scale", "image"]


def run_tiles(files: DetectTilesFiles, settings: DetectSettings, runtime: Runtime) -> None:
    """Detect objects in the tiles of one shard; boxes are written in source pixels, rows sorted by (tile_id, descending score)."""
    device = prepare_device(runtime)
    inference = TileInference(load_detector(files.detector), settings, device)
    tiles = open_table(files.tiles, _TILE_COLUMNS).metadata.num_rows
    rows = progress(iterate_rows(files.tiles, _TILE_COLUMNS), "detect", total=tiles)
    with TableWriter(files.output, TILE_SCHEMA) as writer:
        for batch in _batches(rows, settings.batch):
            for tile, found in zip(batch, inference(batch), strict=True):
                writer.write([{**{name: tile[name] for name in ("tile_id", "dataset", "image_id")}, **detection} for detection in found])
    write_provenance(files.output, settings=settings.model_dump(mode="json"), tiles=tiles, detections=writer.rows)


def _batches(rows: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    while batch := list(islice(rows, size)):
        yield batch
