"""Orientation that a camera or an editor has noted in an image file."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mutdet.settings.console import log

_ORIENTATION = 0x0112
_UPRIGHT = 1
_TIFF_STARTS = {b"II*\0": "<", b"MM\0*": ">"}
_LONGEST_HEADER = 1 << 20


def read_orientation(path: Path) -> int:
    """EXIF orientation of a JPEG, PNG or TIFF file, 1 to 8; 1 (upright) where there is none or it cannot be read."""
    with path.open("rb") as file:
        for start in _tiff_headers(file):
            return _orientation_at(file, start)
    return _UPRIGHT


def _tiff_headers(file: BinaryIO) -> Iterator[int]:
    """Positions of the TIFF structures that may hold an orientation."""
    start = file.read(8)
    if start[:4] in _TIFF_STARTS:
        yield 0
    elif start == b"\x89PNG\r\n\x1a\n":
        yield from _png_exif(file)
    elif start[:2] == b"\xff\xd8":
        yield from _jpeg_exif(file)


def _png_exif(file: BinaryIO) -> Iterator[int]:
    position = 8
    while len(head := _read_at(file, position, 8)) == 8:
        length, name = struct.unpack(">I4s", head)
        if name == b"eXIf":
            yield position + 8
        position += 12 + length


def _jpeg_exif(file: BinaryIO) -> Iterator[int]:
    position = 2
    while len(head := _read_at(file, position, 10)) == 10 and head[0] == 0xFF and head[1] != 0xDA:
        if head[1] == 0xE1 and head[4:] == b"Exif\0\0":
            yield position + 10
        position += 2 + struct.unpack(">H", head[2:4])[0]


def _orientation_at(file: BinaryIO, start: int) -> int:
    """Orientation in the first directory of a TIFF structure (TIFF 6.0, section 2)."""
    header = _read_at(file, start, 8)
    order = _TIFF_STARTS.get(header[:4])
    if order is None or len(header) < 8:
        return _UPRIGHT
    directory = start + struct.unpack(f"{order}I", header[4:])[0]
    count = _read_at(file, directory, 2)
    entries = _read_at(file, directory + 2, min(12 * struct.unpack(f"{order}H", count)[0], _LONGEST_HEADER)) if len(count) == 2 else b""
    for offset in range(0, len(entries) - 11, 12):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", entries, offset)
        if tag == _ORIENTATION and 1 <= value <= 8:
            return int(value)
    return _UPRIGHT


def _read_at(file: BinaryIO, position: int, size: int) -> bytes:
    file.seek(position)
    return file.read(size)


def warn_of_orientation(path: Path) -> bool:
    """Log a warning where an image notes an orientation other than upright, and tell whether it does."""
    orientation = read_orientation(path)
    if orientation != _UPRIGHT:
        log.warning("%s: EXIF orientation %d is not applied; pixels are taken, and labels are read, as stored", path, orientation)
    return orientation != _UPRIGHT
