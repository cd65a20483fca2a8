"""Writing tables and JSON: each appears under its name whole or not at all."""

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from mutdet.tables.atomic import atomic_path


class TableWriter:
    """Writes a table row group by row group; memory holds one row group.

    Bytes depend on rows and schema alone. Use as a context manager: leaving it by an exception leaves no file.

    Args:
        path: final name of the Parquet file.
        schema: one of the schemas of `mutdet.tables`.
        rows_per_group: largest number of rows in a row group.
        uncompressed: columns that are compressed already, such as encoded images.
    """

    def __init__(self, path: Path, schema: pa.Schema, *, rows_per_group: int = 65536, uncompressed: Sequence[str] = ()) -> None:
        self._schema = schema
        self._rows_per_group = rows_per_group
        self._pending: list[pa.Table] = []
        self._pending_rows = 0
        self.rows = 0
        self._path = path
        compression = {name: "none" if name in uncompressed else "zstd" for name in schema.names}
        self._compression: Any = {**compression, **{leaf: "zstd" for leaf in _nested_leaves(schema)}}
        self._stack = ExitStack()

    def write(self, rows: Sequence[Mapping[str, Any]] | pa.Table) -> None:
        """Append rows, in the order of the table's key; the caller sorts."""
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows), schema=self._schema)
        self._pending.append(table.cast(self._schema))
        self._pending_rows += len(table)
        self.rows += len(table)
        while self._pending_rows >= self._rows_per_group:
            self._flush(self._rows_per_group)

    def _flush(self, count: int) -> None:
        waiting = pa.concat_tables(self._pending)
        self._writer.write_table(waiting.slice(0, count).combine_chunks(), row_group_size=self._rows_per_group)
        rest = waiting.slice(count)
        self._pending, self._pending_rows = ([rest] if len(rest) else []), len(rest)

    def __enter__(self) -> Self:
        with self._stack:
            temporary = self._stack.enter_context(atomic_path(self._path))
            self._writer = self._stack.enter_context(pq.ParquetWriter(temporary, self._schema, compression=self._compression, use_dictionary=False))
            self._stack.push(self._flush_rest)
            self._stack = self._stack.pop_all()
        return self

    def _flush_rest(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None and self._pending_rows:
            self._flush(self._pending_rows)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # A stack, so that rows or a footer that cannot be written keep the file from its name.
        self._stack.__exit__(kind, error, trace)


def _nested_leaves(schema: pa.Schema) -> list[str]:
    buffer = pa.BufferOutputStream()
    pq.ParquetWriter(buffer, schema).close()
    leaves = pq.ParquetFile(buffer.getvalue()).schema
    return [path for path in (leaves.column(i).path for i in range(len(leaves))) if "." in path]


def write_table(path: Path, rows: Sequence[Mapping[str, Any]] | pa.Table, schema: pa.Schema, **options: Any) -> None:
    """Write a whole table at once; options as for `TableWriter`."""
    with TableWriter(path, schema, **options) as writer:
        writer.write(rows)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file atomically, keys sorted."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True, default=str) + "\n")


def write_provenance(table: Path, **facts: Any) -> None:
    """Write `<table>.json` beside a table: settings, counts, versions. No rule reads it."""
    write_json(table.with_suffix(".json"), facts)
