"""Streaming and random reading of tables."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mutdet.settings.errors import UserError

_REMEDY = "delete it and run the stage that writes it again"


def open_table(path: Path, required: Sequence[str] = ()) -> pq.ParquetFile:
    """Open a Parquet file and check that it has the required columns.

    Without pre-buffering: pyarrow's keeps every row group that was read, so that memory would grow with the file.

    Raises:
        UserError: the file is missing, is no (whole) Parquet file, or lacks a column.
    """
    try:
        file = pq.ParquetFile(path, pre_buffer=False)
    except FileNotFoundError as error:
        raise UserError("table is missing", file=path, remedy="run the stage that writes it") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError("is no complete Parquet table", file=path, remedy=_REMEDY) from error
    missing = sorted(set(required) - set(file.schema_arrow.names))
    if missing:
        raise UserError(f"lacks the columns {', '.join(missing)}", file=path, remedy=_REMEDY)
    return file


@contextmanager
def _damage_of(path: Path) -> Iterator[None]:
    """Tell of pages that cannot be read; the footer may be whole all the same."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read ({str(error)[:80]})", file=path, remedy=_REMEDY) from error


def read_table(paths: Path | Sequence[Path], columns: Sequence[str] | None = None) -> pa.Table:
    """Whole tables, one below the other in the order given.

    Raises:
        UserError: no table is given, or one is missing, incomplete or damaged, or lacks a column.
    """
    paths = [paths] if isinstance(paths, Path) else paths
    if not paths:
        raise UserError("no table given", remedy="name at least one Parquet file")
    tables = []
    for path in paths:
        file = open_table(path, columns or ())
        with _damage_of(path):
            tables.append(file.read(columns))
    return pa.concat_tables(tables)


def iterate_batches(paths: Path | Sequence[Path], columns: Sequence[str] | None = None, rows: int = 4096) -> Iterator[pa.RecordBatch]:
    """Tables batch by batch in key order; memory holds one row group and one batch.

    Raises:
        UserError: a table is missing, incomplete or damaged, or lacks a column.
    """
    for path in [paths] if isinstance(paths, Path) else paths:
        file = open_table(path, columns or ())
        with _damage_of(path):
            yield from file.iter_batches(rows, columns=columns)


def iterate_row_groups(path: Path, columns: list[str]) -> Iterator[pa.Table]:
    """A table one row group at a time; unlike batches over a whole file, nothing of earlier groups stays in memory.

    Raises:
        UserError: the table is missing, incomplete or damaged, or lacks a column.
    """
    file = open_table(path, columns)
    for number in range(file.num_row_groups):
        with _damage_of(path):
            group = file.read_row_group(number, columns)
        yield group


def iterate_rows(paths: Path | Sequence[Path], columns: Sequence[str] | None = None, rows: int = 16) -> Iterator[dict[str, Any]]:
    """Rows as dictionaries; meant for tables of tiles, not for millions of rows.

    Raises:
        UserError: a table is missing, incomplete or damaged, or lacks a column.
    """
    for path in [paths] if isinstance(paths, Path) else paths:
        for batch in iterate_batches(path, columns, rows):
            with _damage_of(path):
                found = batch.to_pylist()
            yield from found


class RandomReader:
    """Single rows by position over several Parquet files; decodes one row group per access.

    Files open in the process that reads, once each, so that a reader can be sent to worker processes.

    Raises:
        UserError: a table is missing, incomplete or damaged, here or when a row is read.
    """

    def __init__(self, paths: Sequence[Path], columns: Sequence[str] | None = None) -> None:
        self._paths = list(paths)
        self._columns = list(columns) if columns else None
        self._groups = [
            (index, group, file.metadata.row_group(group).num_rows)
            for index, file in enumerate(map(open_table, self._paths))
            for group in range(file.metadata.num_row_groups)
        ]
        self._ends = list(accumulate(count for _, _, count in self._groups))
        self._open: dict[int, pq.ParquetFile] = {}
        self._cached: tuple[int, pa.Table] | None = None

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": {}, "_cached": None}

    def __getitem__(self, position: int) -> dict[str, Any]:
        if not 0 <= position < len(self):
            raise IndexError(position)
        number = bisect_right(self._ends, position)
        file_index, group, count = self._groups[number]
        if self._cached is None or self._cached[0] != number:
            with _damage_of(self._paths[file_index]):
                self._cached = (number, self._file(file_index).read_row_group(group, self._columns))
        start = position - (self._ends[number] - count)
        with _damage_of(self._paths[file_index]):
            return self._cached[1].slice(start, 1).to_pylist()[0]

    def _file(self, index: int) -> pq.ParquetFile:
        if index not in self._open:
            self._open[index] = open_table(self._paths[index])
        return self._open[index]
