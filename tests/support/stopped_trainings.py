"""Trainings of the stages that a signal stops, held against the same without a stop."""

import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from mutdet.training.resumable_loop import ResumableLoop
from mutdet.training.stopping import StoppedError

Training = Callable[[Path, int], tuple[bytes, ...]]
"""Trains in a folder with a number of loader workers, or goes on there; gives the bytes of its outputs."""


def check_stops(run: Training, folder: Path, monkeypatch: pytest.MonkeyPatch, steps: int, stops: Iterable[tuple[int, int]]) -> None:
    """Stopped by a signal it saves nothing but its state; run again it ends byte for byte as without a stop.

    Args:
        run: the training.
        folder: an empty one.
        monkeypatch: pytest's.
        steps: length of the training.
        stops: a step that the signal comes in, before the last one, and a number of loader workers.
    """
    whole = run(folder / "whole", 0)
    for step, workers in stops:
        place = folder / f"{step}-{workers}"
        with monkeypatch.context() as patch:
            _signal_in(step, patch)
            with pytest.raises(StoppedError, match=f"after step {step} of {steps}"):
                run(place, workers)
        assert [path.name for path in place.iterdir()] == ["state"]
        assert run(place, workers) == whole


def _signal_in(step: int, patch: pytest.MonkeyPatch) -> None:
    """Let a signal come in the middle of a step."""
    original = ResumableLoop._step_and_note

    def step_and_note(self, batch):
        if self._step + 1 == step:
            os.kill(os.getpid(), signal.SIGTERM)
        original(self, batch)

    patch.setattr(ResumableLoop, "_step_and_note", step_and_note)
