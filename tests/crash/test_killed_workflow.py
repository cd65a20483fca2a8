"""`kill -9` of Snakemake alone, its jobs going on: unlock, run again, and every table is that of an uninterrupted run."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from workflow_project import Project, new_project

pytestmark = [pytest.mark.workflow]

ROOT = Path("results/tiny")
TABLES = ("parquet", "safetensors", "csv", "tex", "txt")
BOXES = str(ROOT / "boxes/search/drawn/00-of-02.parquet")


@pytest.fixture
def project(finished, tmp_path) -> Project:
    """The same data and settings as those of the finished run, without results."""
    project = new_project(tmp_path / "project")
    (project.folder / "config/config.yaml").write_text((finished.folder / "config/config.yaml").read_text())
    return project


def test_a_workflow_killed_twice(project, finished):
    kill_again_and_again(project, finished, kills=2, seconds=(4.0, 9.0), targets=[BOXES])


@pytest.mark.slow
def test_a_workflow_killed_twenty_times(project, finished):
    """Started anew whenever it has come to its end, so that kills fall everywhere."""
    left = 20
    while left:
        left -= kill_again_and_again(project, finished, kills=left, seconds=(4.0, 40.0), targets=[])
        for place in ("results", ".snakemake"):
            shutil.rmtree(project.folder / place)


def kill_again_and_again(project, finished, kills, seconds, targets):
    """Gives the number of kills before the run had come to its end, at most `kills`."""
    generator, killed = random.Random(kills), 0
    while killed < kills and kill_after(project, generator.uniform(*seconds), targets):
        killed += 1
        check_tables(project, finished)
        project.snakemake("--unlock")
    project.snakemake(*targets)
    check_tables(project, finished)
    if not targets:
        assert tables(project.folder).keys() == tables(finished.folder).keys()
    assert all((project.folder / target).exists() for target in targets)
    assert project.planned(*targets) == {}
    assert left_temporaries(project) == []
    return killed


def kill_after(project, seconds, targets):
    """Whether it had to be killed: it may have ended before."""
    environment = {**os.environ, "PYTHONPATH": str(project.folder), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--nocolor", *targets]
    with (project.folder / "snakemake.log").open("w") as log:
        process = subprocess.Popen(command, cwd=project.folder, env=environment, stdout=log, stderr=log)
        try:
            assert process.wait(seconds) == 0, (project.folder / "snakemake.log").read_text()
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            return True
    return False


def check_tables(project, finished):
    """What stands under a final name is whole. Scenes are no part of this run, and the page tells of time and memory."""
    expected = tables(finished.folder)
    for name, content in tables(project.folder).items():
        assert content == expected[name], name


def tables(folder):
    places = [path for kind in TABLES for path in (folder / ROOT).rglob(f"*.{kind}")]
    kept = [path for path in places if not {"state", "scenes", "logs"} & set(path.relative_to(folder).parts)]
    return {path.relative_to(folder): path.read_bytes() for path in kept}


def left_temporaries(project):
    return [path for path in (project.folder / ROOT).rglob(".*.tmp") if "state" not in path.parts]
