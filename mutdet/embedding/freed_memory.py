"""Memory that a process keeps for its next tensors."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's `mallopt`, from its malloc.h."""

_ALL, _LARGEST_KEPT = 2**31 - 1, 32 * 2**20
"""Bytes: the most that glibc takes for either."""


def keep_freed_memory() -> None:
    """Let the C library keep what tensors free.

    Else it gives the top of its heap back to the kernel once that passes 64 MiB, and gets it again, page by page and cleared, in the
    next step: thousands of page faults a step of a training on a CPU. Pieces above 32 MiB still go back; the peak stays as it is.
    Changes nothing where the C library is not glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
        mallopt(_TRIM_THRESHOLD, _ALL)
