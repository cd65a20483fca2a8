"""Stage `report`, part tiles: the tiles that all pictures show. A module of its own, so that a change of the page chooses none anew."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from mutdet.reporting.chosen_tiles import choose
from mutdet.settings.base import Runtime
from mutdet.settings.report import ReportTilesFiles, ReportTilesSettings
from mutdet.tables.read import RandomReader, iterate_batches
from mutdet.tables.tiles import ROWS_PER_GROUP, SCHEMA
from mutdet.tables.write import write_provenance, write_table


def run(files: ReportTilesFiles, settings: ReportTilesSettings, runtime: Runtime) -> None:
    """Write some unlabelled tiles; those that are tiles of split train too have its labels."""
    tile_ids = _tile_ids(files.unlabelled)
    labelled = _tile_ids(files.train)
    objects = _labels(files.train) & Counter(dict.fromkeys(tile_ids, 1)) or Counter(_tile_ids(files.boxes))
    chosen = choose(tile_ids, objects, settings.tiles, settings.seed)
    rows, known = _rows(files.unlabelled, tile_ids, chosen), _rows(files.train, labelled, chosen)
    found = [{**rows[tile_id], "labels": known.get(tile_id, rows[tile_id])["labels"]} for tile_id in chosen]
    write_table(files.output, found, SCHEMA, rows_per_group=ROWS_PER_GROUP, uncompressed=["image"])
    write_provenance(files.output, settings=settings.model_dump(mode="json"), tiles=len(chosen), labelled_tiles=len(known))


def _tile_ids(paths: Sequence[Path]) -> list[str]:
    return [tile_id for batch in iterate_batches(paths, ["tile_id"], rows=65536) for tile_id in batch["tile_id"].to_pylist()]


def _labels(paths: Sequence[Path]) -> Counter[str]:
    """Labels of each tile that has any."""
    counts: Counter[str] = Counter()
    for batch in iterate_batches(paths, ["tile_id", "labels"], rows=1024):
        counts.update(dict(zip(batch["tile_id"].to_pylist(), pc.list_value_length(batch["labels"]).to_pylist(), strict=True)))
    return +counts


def _rows(paths: Sequence[Path], tile_ids: Sequence[str], chosen: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Rows of the chosen tiles that the tables hold, read at random: other images are not decoded."""
    positions = {tile_id: position for position, tile_id in enumerate(tile_ids)}
    reader = RandomReader(paths, SCHEMA.names)
    return {tile_id: reader[positions[tile_id]] for tile_id in chosen if tile_id in positions}
