"""What stands in an output: sizes, time stamps and hashes of its files."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

Contents = dict[str, tuple[int, int, str]]
"""File, relative to the output's folder -> size, modification time in ns, SHA-256."""


def contents_of(output: Path, files: Sequence[Path]) -> Contents:
    """Contents of an output: its files as they stand now.

    Args:
        output: the one file, or a folder of files.
        files: those of them that belong to it.
    """
    return {path.relative_to(output.parent).as_posix(): (*_stamp(path), _sha256(path)) for path in sorted(set(files))}


def untouched(output: Path, contents: Mapping[str, Sequence[int | str]]) -> bool:
    """Whether every file has the size and time stamp that are recorded; opens none."""
    return all(_stamp(output.parent / name) == (size, stamp) for name, (size, stamp, _) in contents.items())


def unchanged(output: Path, contents: Mapping[str, Sequence[int | str]]) -> bool:
    """Whether every file is there and has the bytes that are recorded, whatever its time stamp."""
    places = [(output.parent / name, size, digest) for name, (size, _, digest) in contents.items()]
    return all(_stamp(path)[0] == size for path, size, _ in places) and all(_sha256(path) == digest for path, _, digest in places)


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time stamp; a missing file has a size that no file has."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return -1, 0
    return status.st_size, status.st_mtime_ns


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
