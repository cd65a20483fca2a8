"""Runtime settings on their way from the workflow to its jobs: through the environment, so that changing them reruns nothing."""

import os
import sys
from pathlib import Path

from mutdet.settings.base import Runtime


def hand_down(runtime: Runtime) -> None:
    """Let every command that this process starts find `mutdet`, and its runtime settings as MUTDET_DEVICE and MUTDET_WORKERS."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    os.environ.update({_variable(name): str(value) for name, value in runtime.model_dump().items()})


def handed_down() -> dict[str, str]:
    """Runtime settings that the environment holds."""
    return {name: os.environ[_variable(name)] for name in Runtime.model_fields if _variable(name) in os.environ}


def _variable(name: str) -> str:
    return f"MUTDET_{name.upper()}"
