"""How long a thread spins while it waits for the other threads of its process."""

import os

VARIABLE, SPINS = "GOMP_SPINCOUNT", "1000"
"""Of GNU's OpenMP, which PyTorch's Linux wheels bring along; turns of a loop, some ten nanoseconds each."""


def spin_briefly() -> None:
    """Let waiting threads sleep after some microseconds, where the user has not said otherwise.

    GNU's OpenMP spins 300,000 turns, milliseconds, at the end of each operation: on a machine with anything else to do the thread that is waited for
    does not get the core on which the other spins, and a training of two threads beside one of another takes many times as long
    (`benchmarks/busy_neighbour.py`). Has an effect only before PyTorch is first imported. Results stay the same.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault(VARIABLE, SPINS)
