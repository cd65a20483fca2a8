"""Files of DOTA's Task 1: `Task1_<class>.txt`, one line per detection: image id, score, eight coordinates.

A slash in the name of a class, as in xView's, is %2F in the name of its file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mutdet.evaluation.objects import Detections
from mutdet.settings.errors import UserError
from mutdet.tables.atomic import atomic_path

_PREFIX, _SUFFIX = "Task1_", ".txt"
_SLASH = "%2F"
_NUMBERS = 9
_REMEDY = "each line holds an image id, a score and eight coordinates"


@dataclass(frozen=True)
class ClassDetections:
    """Content of one file: image ids [D], scores [D], polygons [D, 4, 2] in pixels of the whole images."""

    image_ids: list[str]
    scores: NDArray[np.float64]
    polygons: NDArray[np.float64]


def write_submission(folder: Path, detections: Detections, images: Sequence[str], categories: Sequence[str]) -> None:
    """Write one file per class, empty where nothing was found; within a class in the order given.

    Args:
        folder: receives the files; made if missing.
        detections: those of `NO_CLASS` are left out.
        images: ids behind the image numbers.
        categories: names behind the class numbers.
    """
    for number, name in enumerate(categories):
        chosen = detections.take(detections.category == number)
        lines = [
            f"{images[image]} {score:.9g} {' '.join(f'{value:.3f}' for value in corners)}\n"
            for image, score, corners in zip(chosen.image, chosen.scores, chosen.polygons.reshape(-1, 8), strict=True)
        ]
        with atomic_path(submission_file(folder, name)) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")


def submission_file(folder: Path, category: str) -> Path:
    """Where the detections of a class lie."""
    return folder / f"{_PREFIX}{category.replace('/', _SLASH)}{_SUFFIX}"


def submission_files(folder: Path) -> dict[str, Path]:
    """Files of a submission by class name, in alphabetical order.

    Raises:
        UserError: the folder is missing or holds no such file.
    """
    files = {path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX).replace(_SLASH, "/"): path for path in sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}"))}
    if not files:
        raise UserError("holds no Task1_<class>.txt" if folder.is_dir() else "folder is missing", file=folder, remedy="name a folder of Task 1 results")
    return files


def read_class_detections(path: Path) -> ClassDetections:
    """Read one file; blank lines and a byte order mark are skipped.

    Raises:
        UserError: a line has not ten fields, or a number in it is none or not finite.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("cannot be read as text", file=path, remedy="write it again") from error
    numbered = [(number, line.rsplit(maxsplit=_NUMBERS)) for number, line in enumerate(lines, start=1) if line.strip()]
    for number, parts in numbered:
        if len(parts) != _NUMBERS + 1:
            raise UserError(f"has {len(parts)} fields instead of {_NUMBERS + 1}", file=path, record=f"line {number}", remedy=_REMEDY)
    values = np.array([_numbers(path, number, parts[1:]) for number, parts in numbered]).reshape(-1, _NUMBERS)
    for row in np.flatnonzero(~np.isfinite(values).all(axis=1))[:1]:
        raise UserError("score or coordinate is not finite", file=path, record=f"line {numbered[row][0]}", remedy=_REMEDY)
    return ClassDetections([parts[0].strip() for _, parts in numbered], values[:, 0], values[:, 1:].reshape(-1, 4, 2))


def _numbers(path: Path, number: int, texts: list[str]) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError as error:
        raise UserError(f"{str(error).rpartition(': ')[2]} is not a number", file=path, record=f"line {number}", remedy=_REMEDY) from error
