"""What a run has written so far. Anything may be absent."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mutdet.settings.datasets import shard_name
from mutdet.tables.read import RandomReader, iterate_batches, open_table, read_table


class RunFolder:
    """Finds the tables of `results/<run>`.

    Args:
        root: folder of the run.
        shards: number of shards of the tables that count; none: whatever is there.
    """

    def __init__(self, root: Path, shards: int | None = None) -> None:
        self.root = root
        cut = "of-*" if shards is None else shard_name(0, shards).partition("-")[2]
        self._cut = f"*-{cut}.parquet"

    def folders(self, stage: str) -> list[str]:
        """Variants of a stage; for `partition` the data sets."""
        place = self.root / stage
        return sorted(path.name for path in place.iterdir() if path.is_dir()) if place.is_dir() else []

    def shards(self, *parts: str) -> list[Path]:
        """Tables in a folder below the run, such as ("partition", "scenes", "val")."""
        return sorted(self.root.joinpath(*parts).glob(self._cut))

    def sharded(self, stage: str, variant: str) -> list[Path]:
        """Tables of a variant of masks, boxes, embed or pseudo_labels, of all data sets."""
        return sorted((self.root / stage / variant).glob(f"*/{self._cut}"))

    def table(self, *parts: str, columns: list[str] | None = None) -> pa.Table | None:
        """Whole table of one file, or none where it is absent."""
        path = self.root.joinpath(*parts)
        return read_table(path, columns) if path.is_file() else None

    def count(self, paths: list[Path]) -> int:
        """Rows of some tables."""
        return sum(open_table(path).metadata.num_rows for path in paths)

    def rows_of_tiles(self, paths: list[Path], columns: list[str], tile_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
        """Rows of some tiles, by tile; streams, so that memory holds these rows alone."""
        found: dict[str, list[dict[str, Any]]] = {tile_id: [] for tile_id in tile_ids}
        wanted = pa.array(tile_ids, pa.string())
        for batch in iterate_batches(paths, ["tile_id", *columns], rows=1024):
            for row in batch.filter(pc.is_in(batch["tile_id"], value_set=wanted)).to_pylist():
                found[row["tile_id"]].append(row)
        return found

    def tiles(self, paths: list[Path], columns: list[str], tile_ids: list[str]) -> dict[str, dict[str, Any]]:
        """Tiles by id, read at random: other images are not decoded."""
        positions = {tile_id: i for i, tile_id in enumerate(self.column(paths, "tile_id"))}
        reader = RandomReader(paths, columns)
        return {tile_id: reader[positions[tile_id]] for tile_id in tile_ids if tile_id in positions}

    def chosen_tiles(self) -> dict[str, list[dict[str, Any]]]:
        """Rows of the tiles that pictures show, by data set; of split unlabelled, with the labels of split train where they have any."""
        return {path.stem: read_table(path).to_pylist() for path in sorted((self.root / "report" / "tiles").glob("*.parquet"))}

    def column(self, paths: list[Path], name: str) -> list[Any]:
        """One column of some tables, which may be none."""
        return [value for batch in iterate_batches(paths, [name], rows=65536) for value in batch[name].to_pylist()]

    def settings(self, stage: str, variant: str) -> dict[str, Any] | None:
        """Settings of a variant, from the first provenance file that holds them."""
        for path in sorted((self.root / stage / variant).rglob("*.json")):
            content = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(content, dict) and "settings" in content:
                return dict(content["settings"])
        return None
