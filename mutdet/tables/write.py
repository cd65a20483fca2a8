"""Atomic writing: a table appears under its name whole or not at all."""

import json
import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Temporary file name beside `path`, unique to the process, moved to `path` if the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


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
        self._atomic = atomic_path(path)
        compression: Any = {name: "none" if name in uncompressed else "zstd" for name in schema.names}
        compression = {**compression, **{leaf: "zstd" for leaf in _nested_leaves(schema)}}
        self._writer = pq.ParquetWriter(self._atomic.__enter__(), schema, compression=compression, use_dictionary=False)

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
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None and self._pending_rows:
                self._flush(self._pending_rows)
        finally:
            self._writer.close()
            self._atomic.__exit__(kind, error, trace)


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
