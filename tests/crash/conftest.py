"""A small finished run, made stage by stage, and what each stage of it writes."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from stage_commands import StageServer, commands
from workflow_project import LEARNED, new_project

ROOT = Path("results/tiny")
SCENES = ["scenes", "--output", f"{ROOT}/scenes/few", "--train", "2", "--val", "1", "--size", "96"]


@dataclass(frozen=True)
class Job:
    """A command of the run.

    Attributes:
        command: flags of `mutdet`.
        written: files that it gives their names, in this order, a checkpoint as often as it is written.
    """

    command: list[str]
    written: list[Path]

    @property
    def stage(self) -> str:
        name, part = self.command[:2]
        return name if part.startswith("--") else f"{name} {part}"


@dataclass(frozen=True)
class Run:
    """A run and its jobs."""

    folder: Path
    jobs: list[Job]

    def job(self, stage: str) -> Job:
        """The job of a stage that writes most files: of those that train, one that does."""
        return max((job for job in self.jobs if job.stage == stage), key=lambda job: len(job.written))

    def copy(self, folder: Path) -> Path:
        """Results and data, their files shared: what is replaced in the copy stays here. Claims are changed in place and left out, states too."""
        for part in ("data", "results"):
            shutil.copytree(self.folder / part, folder / part, copy_function=os.link, ignore=shutil.ignore_patterns("*.claim", "state"))
        return folder


@pytest.fixture(scope="session")
def server():
    server = StageServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def finished(server, tmp_path_factory) -> Run:
    project = new_project(tmp_path_factory.mktemp("crash") / "finished")
    project.configure(small_trainings)
    jobs = [Job(command, written(server.run(command, project.folder))) for command in [SCENES, *commands(project)]]
    return Run(project.folder, jobs)


def small_trainings(config):
    """Four steps each, with a checkpoint after every one."""
    config["backbone"]["learned"] = {**LEARNED, "checkpoint_minutes": 1e-6}
    for settings in (config["pretrain"]["mutdet"], config["finetune"]["mutdet-50"]):
        settings.update(iterations=4, checkpoint_minutes=1e-6)


def written(text):
    return [Path(line.removeprefix("named ")) for line in text.splitlines() if line.startswith("named ")]
