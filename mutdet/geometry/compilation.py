"""Compiled loops."""

from collections.abc import Callable
from typing import Any

import numba


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: compile a function at its first use, without Python's lock while it runs; kept on disk for the next process where a folder allows it.

    Modules that use it are imported inside the function that needs them: importing the compiler takes longer than many a stage.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return numba.njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:  # no folder that can be written to
            return numba.njit(nogil=True, **options)(function)

    return decorate
