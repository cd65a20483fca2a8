"""The hidden file beside an output that says who may write it, and what was written."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from mutdet.settings.errors import UserError
from mutdet.tables.file_locks import try_lock
from mutdet.tables.write_errors import write_errors_of

_SUFFIX = ".claim"
PATIENCE_SECONDS = 120.0
"""Time to wait for a claim; its holder needs it for the moment of a rename."""

_POLL_SECONDS = 0.01


class ClaimFile:
    """An open and locked claim. It is changed in place, because a lock belongs to the file and not to its name."""

    def __init__(self, file: BinaryIO, output: Path) -> None:
        self._file, self._output = file, output

    def read(self) -> dict[str, Any]:
        """The claim; empty where there is none, or where a process was killed while it wrote it."""
        self._file.seek(0)
        return decoded(self._file.read())

    def write(self, record: Mapping[str, Any]) -> None:
        """Replace the claim; in the place that it has, so that a full disk takes no claim away.

        Raises:
            UserError: the disk is full.
        """
        with write_errors_of(self._output):
            self._file.seek(0)
            self._file.write(json.dumps(record, sort_keys=True).encode() + b"\n")
            self._file.truncate()
            self._file.flush()


@contextmanager
def opened(output: Path) -> Iterator[ClaimFile]:
    """Open the claim of an output, made if missing, and lock it against every other process.

    Raises:
        UserError: the folder cannot be made or written, or a stopped process keeps the lock.
    """
    with write_errors_of(output):
        path = claim_path(output)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+b")
    with file:
        _lock(file, output)
        yield ClaimFile(file, output)


def recorded(output: Path) -> dict[str, Any]:
    """The claim of an output as it stands, whoever holds its lock; empty where there is none."""
    try:
        return decoded(claim_path(output).read_bytes())
    except OSError:
        return {}


def claim_path(output: Path) -> Path:
    """Name of an output's claim."""
    return output.with_name(f".{output.name}{_SUFFIX}")


def claimed_output(name: str) -> str | None:
    """Name of the output that a file of this name claims; nothing for other files."""
    return name[1 : -len(_SUFFIX)] if name.startswith(".") and name.endswith(_SUFFIX) else None


def decoded(content: bytes) -> dict[str, Any]:
    """A claim from the bytes of its file; empty where they are none."""
    try:
        record = json.loads(content)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _lock(file: BinaryIO, output: Path) -> None:
    """Wait for the lock. Without locks a claim still holds, but for the moment between look and rename."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not try_lock(file):
        if time.monotonic() > until:
            raise UserError("a process that does not go on holds this output's claim", file=output, remedy="end that process")
        time.sleep(_POLL_SECONDS)
