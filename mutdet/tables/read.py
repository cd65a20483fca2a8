"""Streaming and random reading of tables."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
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


def read_table(paths: Path | Sequence[Path], columns: Sequence[str] | None = None) -> pa.Table:
    """Whole tables, one below the other in the order given."""
    paths = [paths] if isinstance(paths, Path) else paths
    if not paths:
        raise UserError("no table given", remedy="name at least one Parquet file")
    return pa.concat_tables([open_table(path, columns or ()).read(columns) for path in paths])


def iterate_batches(paths: Path | Sequence[Path], columns: Sequence[str] | None = None, rows: int = 4096) -> Iterator[pa.RecordBatch]:
    """Tables batch by batch in key order; memory holds one row group and one batch."""
    for path in [paths] if isinstance(paths, Path) else paths:
        yield from open_table(path, columns or ()).iter_batches(rows, columns=columns)


def iterate_rows(paths: Path | Sequence[Path], columns: Sequence[str] | None = None, rows: int = 16) -> Iterator[dict[str, Any]]:
    """Rows as dictionaries; meant for tables of tiles, not for millions of rows."""
    for batch in iterate_batches(paths, columns, rows):
        yield from batch.to_pylist()


class RandomReader:
    """Single rows by position over several Parquet files; decodes one row group per access.

    Files open in the process that reads, so that a reader can be sent to worker processes.
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
            file = self._open.setdefault(file_index, pq.ParquetFile(self._paths[file_index], pre_buffer=False))
            self._cached = (number, file.read_row_group(group, self._columns))
        start = position - (self._ends[number] - count)
        return self._cached[1].slice(start, 1).to_pylist()[0]
