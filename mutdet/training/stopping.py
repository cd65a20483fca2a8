"""Stopping a training from outside: by a signal that a scheduler sends before it kills."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
"""What SLURM sends at a time limit or before it (--signal), and what a shell's `kill` sends."""
EXIT_CODE = 128 + signal.SIGTERM
"""Not zero, so that Snakemake runs the job again where it may."""


class StoppedError(Exception):
    """The training was stopped from outside, after it had saved its state."""


class StopRequest:
    """Whether a signal has come."""

    def __init__(self) -> None:
        self.received = False

    def note(self, number: int, frame: FrameType | None) -> None:
        """Handler of a signal."""
        self.received = True


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """While this lasts, the signals are noted instead of ending the process; to be used in the main thread."""
    request = StopRequest()
    before = {number: signal.signal(number, request.note) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_stop_signals(worker: int = 0) -> None:
    """For processes that read data: a scheduler signals every process of a job, and these must outlast the saving of the state."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
