"""The commands of a workflow's jobs, and a server that runs them quickly."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from workflow_project import REPOSITORY, Project

SERVER = Path(__file__).with_name("stage_server.py")


def commands(project: Project, *arguments: str) -> list[list[str]]:
    """Flags of `mutdet` for every job that a dry run announces, in an order that can be run."""
    shown = project.snakemake("-n", "-p", *arguments).stdout
    return [shlex.split(line)[:-3] for line in re.findall(r"^Shell command: (?:exec )?mutdet (.*)$", shown, re.MULTILINE)]


@dataclass
class Child:
    """A stage that runs."""

    server: "StageServer"
    number: int
    log: Path

    def wait(self) -> int | str:
        """Exit code, "killed" or "stopped"."""
        return self.server.ask({"wait": self.number})

    def kill(self) -> int | str:
        """`kill -9`."""
        os.kill(self.number, signal.SIGKILL)
        return self.wait()

    def go_on(self) -> None:
        """Let a stopped one go on."""
        os.kill(self.number, signal.SIGCONT)


class StageServer:
    """Forks stages; see `stage_server.py`."""

    def __init__(self) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
        self._process = subprocess.Popen([sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def ask(self, request: dict) -> int | str:
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, command: list[str], folder: Path, *, stop: tuple[str, int] | None = None, run_started: int | None = None, host: str = "") -> Child:
        """Start a stage in a folder; what it prints goes to `<folder>/stage-<number>.log`.

        Args:
            command: flags of `mutdet`.
            folder: to run in.
            stop: point at which it stops itself.
            run_started: start of the run that it is a job of.
            host: that it believes to run on.
        """
        log = folder.parent / f"stage-{time.monotonic_ns()}.log"
        environment = {} if run_started is None else {"MUTDET_RUN_STARTED": str(run_started)}
        request = {"run": command, "folder": str(folder), "log": str(log), "environment": environment, "stop": stop, "host": host}
        return Child(self, self.ask(request), log)

    def run(self, command: list[str], folder: Path) -> str:
        """Run a stage to its end; gives what it printed.

        Raises:
            AssertionError: it failed.
        """
        child = self.start(command, folder)
        code = child.wait()
        text = child.log.read_text()
        assert code == 0, text
        return text

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
