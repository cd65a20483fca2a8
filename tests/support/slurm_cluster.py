"""A real SLURM on this machine, and Snakemake runs on it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from workflow_project import Project

SCRIPT = Path(__file__).with_name("start_slurm.sh")
UNFIT = 77
QUICK = ["--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "10", "--jobs", "4", "--nocolor"]
"""The first look at a job after 3 s, and no more jobs at once than a small machine bears."""


def start_cluster(*, accounting: bool) -> None:
    """Start SLURM, or skip the test where this machine cannot have one."""
    done = subprocess.run([SCRIPT, "start"], env={**os.environ, "ACCOUNTING": "yes" if accounting else "no"}, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == UNFIT:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr


def stop_cluster() -> None:
    subprocess.run([SCRIPT, "stop"], check=True)


def ask(*command: str) -> list[str]:
    """Lines that a command of SLURM prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def wait_until(happened: Callable[[], bool], what: str, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, f"after {seconds} s still not: {what}"
        time.sleep(0.2)


def set_profile(project: Project, change: Callable[[dict], None]) -> None:
    """Apply a function to the SLURM profile of a project, as a site would edit it."""
    path = project.folder / "profiles/slurm/config.yaml"
    profile = yaml.safe_load(path.read_text())
    change(profile)
    path.write_text(yaml.safe_dump(profile, sort_keys=False))


class Run:
    """Snakemake at work on the cluster.

    Attributes:
        process: Snakemake.
    """

    def __init__(self, project: Project, *arguments: str) -> None:
        self._log = project.folder / f"snakemake-{time.monotonic_ns()}.log"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PYTHONPATH": str(project.folder), "PATH": path, "XDG_CACHE_HOME": str(project.folder / ".cache")}
        command = [sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/slurm", *QUICK, *arguments]
        with self._log.open("w") as log:
            self.process = subprocess.Popen(command, cwd=project.folder, env=environment, stdout=log, stderr=subprocess.STDOUT)

    @property
    def shown(self) -> str:
        """What Snakemake has printed so far."""
        return self._log.read_text()

    def finish(self, seconds: float) -> None:
        """Wait for the end of a run that must succeed."""
        try:
            assert self.process.wait(seconds) == 0, self.shown
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not done after {seconds} s\n{self.shown}") from None
        finally:
            self.process.kill()
