"""One label of a source image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mutdet.settings.errors import UserError

OnBadLabel = Callable[[UserError], None]
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Label:
    """An object as its file gives it.

    Attributes:
        label_id: position among the objects of the file, from 0.
        polygon: [4, 2] float64 corners in source pixels.
        category: name of the class.
        difficulty: 0 normal, 1 difficult, 2 truncated.
    """

    label_id: int
    polygon: NDArray[np.float64]
    category: str
    difficulty: int


def make_label(label_id: int, coordinates: Sequence[str], category: str, difficulty: str) -> Label:
    """Label from the texts of a file: eight coordinates, a category, a whole number.

    Raises:
        ValueError: naming the value that is no finite float32 number or no difficulty.
    """
    numbers = [_finite(text, position) for position, text in enumerate(coordinates, start=1)]
    if not (difficulty.isascii() and difficulty.isdigit()):
        raise ValueError(f"difficulty {difficulty!r} is no whole number from 0")
    return Label(label_id, np.array(numbers, dtype=np.float64).reshape(4, 2), category, int(difficulty))


def _finite(text: str, position: int) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"coordinate {position} is {text!r}, not a number") from None
    if not abs(number) <= _LARGEST:
        raise ValueError(f"coordinate {position} is {text!r}, not a finite number")
    return number
