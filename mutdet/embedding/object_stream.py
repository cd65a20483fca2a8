"""Embeddings of many shards as one stream in key order, in blocks of constant size."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa

from mutdet.settings.errors import UserError
from mutdet.tables.read import iterate_row_groups, open_table
from mutdet.tables.vectors import column_to_vectors

BLOCK_ROWS = 2048
Key = tuple[str, int]


def embedding_width(paths: Sequence[Path]) -> int:
    """Length D of the vectors that some tables of embeddings hold.

    Raises:
        UserError: no table, or tables of different backbones.
    """
    widths = {open_table(path, ["embedding"]).schema_arrow.field("embedding").type.byte_width // 2 for path in paths}
    if not widths:
        raise UserError("no table of embeddings given", remedy="name at least one Parquet file")
    if len(widths) > 1:
        raise UserError(f"embeddings have lengths {sorted(widths)}", file=paths[0].parent, remedy="give tables of one embed variant")
    return widths.pop()


def vector_blocks(paths: Sequence[Path]) -> Iterator[np.ndarray]:
    """Vectors [BLOCK_ROWS, D] float32 of all tables in key order; the last block may be shorter.

    Each table is sorted by (tile_id, mask_id); they are merged, so that blocks do not depend on how objects are cut
    into shards. Memory holds one row group of each table and one block.

    Raises:
        UserError: a table is not sorted, or a key occurs twice.
    """
    pending: list[np.ndarray] = []
    rows = 0
    for run in _merged_runs(paths):
        while len(run):
            part, run = run[: BLOCK_ROWS - rows], run[BLOCK_ROWS - rows :]
            pending.append(part)
            rows += len(part)
            if rows == BLOCK_ROWS:
                yield np.concatenate(pending)
                pending, rows = [], 0
    if rows:
        yield np.concatenate(pending)


@dataclass
class _Cursor:
    """Place in one sorted table: the row group in memory and the first row not yet handed out."""

    path: Path
    batches: Iterator[tuple[list[Key], pa.ChunkedArray]]
    keys: list[Key]
    vectors: pa.ChunkedArray
    position: int = 0

    @property
    def head(self) -> Key:
        return self.keys[self.position]

    def take_below(self, limit: Key | None) -> np.ndarray:
        """Rows of the row group in memory up to a key of another table."""
        end = len(self.keys) if limit is None else bisect_left(self.keys, limit, self.position)
        if end == self.position:
            raise UserError("object occurs twice", file=self.path, record=self.head, remedy="image ids must be unique across the data sets of a run")
        rows = self.vectors.slice(self.position, end - self.position)
        self.position = end
        return column_to_vectors(rows)

    def advance(self) -> bool:
        """Read the next row group if this one is used up; false at the end of the table."""
        if self.position < len(self.keys):
            return True
        last = self.keys[-1]
        self.keys, self.vectors, self.position = *next(self.batches, ([], self.vectors)), 0
        if self.keys and not last < self.head:
            raise _unsorted(self.path, self.head)
        return bool(self.keys)


def _merged_runs(paths: Sequence[Path]) -> Iterator[np.ndarray]:
    """Runs of vectors that follow each other in key order and come from one table."""
    cursors = []
    for path in paths:
        batches = _batches(path)
        first = next(batches, None)
        if first is not None:
            cursors.append(_Cursor(path, batches, *first))
    heap = [(cursor.head, number) for number, cursor in enumerate(cursors)]
    heapify(heap)
    while heap:
        _, number = heappop(heap)
        yield cursors[number].take_below(heap[0][0] if heap else None)
        if cursors[number].advance():
            heappush(heap, (cursors[number].head, number))


def _batches(path: Path) -> Iterator[tuple[list[Key], pa.ChunkedArray]]:
    for group in iterate_row_groups(path, ["tile_id", "mask_id", "embedding"]):
        keys = list(zip(group["tile_id"].to_pylist(), group["mask_id"].to_pylist(), strict=True))
        for before, after in pairwise(keys):
            if not before < after:
                raise _unsorted(path, after)
        if keys:
            yield keys, group["embedding"]


def _unsorted(path: Path, key: Key) -> UserError:
    return UserError("rows are not sorted by tile_id, mask_id, or one occurs twice", file=path, record=key, remedy="run the embed stage again")
