"""What the workflow hands to its jobs through the environment, so that changing it reruns nothing: runtime settings, and the run's start."""

import os
import sys
import time
from pathlib import Path

from mutdet.settings.base import Runtime

_STARTED = "MUTDET_RUN_STARTED"


def hand_down(runtime: Runtime, *, new_run: bool) -> None:
    """Let every command that this process starts find `mutdet`, its runtime settings as MUTDET_DEVICE and MUTDET_WORKERS, and when the run began.

    Args:
        runtime: settings.
        new_run: this process begins a run; otherwise it is a job of one, on a node of a cluster.
    """
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    os.environ.update({_variable(name): str(value) for name, value in runtime.model_dump(exclude_none=True).items()})
    if new_run:
        os.environ[_STARTED] = str(time.time_ns())


def handed_down() -> dict[str, str]:
    """Runtime settings that the environment holds."""
    return {name: os.environ[_variable(name)] for name in Runtime.model_fields if _variable(name) in os.environ}


def run_started() -> int:
    """When the run began that this process is a job of, in ns since 1970; a command started by hand is a run of its own and begins now."""
    return int(os.environ.get(_STARTED, time.time_ns()))


def writes_outputs() -> bool:
    """Whether this process writes what its stage writes: of the processes that torchrun starts for one training the first does."""
    return os.environ.get("RANK", "0") == "0"


def _variable(name: str) -> str:
    return f"MUTDET_{name.upper()}"
