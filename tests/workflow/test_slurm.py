"""Runs through profiles/slurm on a real SLURM: the tables of a local run, whatever happens to jobs, nodes and Snakemake itself."""

import os
import re
import shutil
from collections.abc import Iterator

import pytest
from safetensors.torch import load_file
from slurm_cluster import Run, ask, set_profile, start_cluster, stop_cluster, wait_until
from workflow_project import Project, new_project

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.workflow,
    pytest.mark.skipif(os.environ.get("MUTDET_TEST_SLURM") != "1", reason="installs SLURM on this machine, as root; `make test-slurm` runs it"),
]

HANG = """
import sys
import time
from pathlib import Path

if sys.orig_argv[2:4] == ["report", "tiles"] and not Path("hung").exists():
    Path("hung").touch()
    time.sleep(3600)
"""
"""Python reads a file of this name at its start: here it makes the first `mutdet report tiles` of a project hang."""

SLOW = """
import sys
import time
from pathlib import Path

if sys.orig_argv[2:3] == ["masks"] and not Path("quick").exists():
    Path("started").touch()
    time.sleep(20)
"""
"""And this makes every `mutdet masks` slow until there is a file `quick`."""

SLOW_AT_FIRST = """
import sys
import time

if sys.orig_argv[2:3] == ["pretrain"]:
    from mutdet.training.resumable_loop import ResumableLoop

    resume, step = ResumableLoop._resume, ResumableLoop._step_and_note

    def note_begin(self, checkpoints):
        resume(self, checkpoints)
        self.begin = self._step

    def slow_step(self, batch):
        time.sleep(0.0 if self.begin else 1.0)
        step(self, batch)

    ResumableLoop._resume, ResumableLoop._step_and_note = note_begin, slow_step
"""
"""And this makes every step of `mutdet pretrain` take a second, unless it goes on from a checkpoint."""

STEPS = 120
"""Two minutes of such steps, under a limit of one."""


def results(project: Project) -> dict[str, bytes]:
    root = project.folder / "results/tiny"
    files = [path for kind in ("parquet", "safetensors", "csv", "tex") for path in root.rglob(f"*.{kind}")]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def assert_equal(found: Project, expected: Project) -> None:
    ours, other = results(found), results(expected)
    assert ours.keys() == other.keys()
    assert [name for name in ours if ours[name] != other[name]] == []


def fewer_jobs(config: dict) -> None:
    """One shard, and no baseline: less than half the jobs, each of which costs seconds."""
    config["shards"] = 1
    del config["pretrain"]["none"], config["finetune"]["none-0"]
    config["tables"]["main"]["experiments"].remove("none-0")


def squeue(profile: dict) -> None:
    profile["slurm-status-command"] = "squeue"


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> Project:
    """The run that others must equal, made without SLURM."""
    project = new_project(tmp_path_factory.mktemp("local"))
    project.configure(fewer_jobs)
    project.snakemake()
    return project


@pytest.fixture(scope="module")
def with_accounting() -> Iterator[None]:
    start_cluster(accounting=True)
    yield
    stop_cluster()


@pytest.fixture(scope="module")
def without_accounting() -> Iterator[None]:
    start_cluster(accounting=False)
    yield
    stop_cluster()


@pytest.fixture
def without_masks(local, tmp_path) -> Project:
    """A finished run whose masks are gone, on a site without accounting."""
    project = local.copy(tmp_path / "project")
    shutil.rmtree(project.folder / "results/tiny/masks")
    (project.folder / "sitecustomize.py").write_text(SLOW)
    set_profile(project, squeue)
    return project


def slow_masks_runs(project: Project) -> bool:
    return (project.folder / "started").exists()


def test_a_whole_run_equals_a_local_one_though_a_job_hangs_at_first(with_accounting, local, tmp_path):
    def site(profile: dict) -> None:
        profile["default-resources"]["slurm_account"] = "lab"
        profile["set-resources"]["report_tiles"]["runtime"] = "attempt"

    project = new_project(tmp_path)
    project.configure(fewer_jobs)
    set_profile(project, site)
    (project.folder / "sitecustomize.py").write_text(HANG)
    Run(project).finish(seconds=360)
    assert_equal(project, local)
    assert "Nothing to be done" in project.snakemake().stderr
    jobs = [line.split("|") for line in ask("sacct", "-X", "--noheader", "--parsable2", "--format=State,TimelimitRaw,Account,AllocTRES,Comment")]
    assert {account for _, _, account, _, _ in jobs} == {"lab"}
    assert sorted((state, minutes) for state, minutes, _, _, comment in jobs if "report_tiles" in comment) == [("COMPLETED", "2"), ("TIMEOUT", "1")]
    assert not [comment for *_, comment in jobs if comment.startswith(("rule_backbone", "rule_tables_fill", "rule_report_page"))]
    assert {comment.split("_")[1] for _, _, _, resources, comment in jobs if "gres/gpu=1" in resources} == {"embed", "pretrain", "finetune", "detect"}


def test_the_job_of_a_lost_node_runs_on_another(without_accounting, without_masks, local):
    run = Run(without_masks, "--until", "boxes")
    wait_until(lambda: slow_masks_runs(without_masks), "the job of masks runs")
    (without_masks.folder / "quick").touch()
    lost = ask("squeue", "--noheader", "--states=RUNNING", "--format=%N")[0]
    ask("scontrol", "update", f"nodename={lost}", "state=down", "reason=test")
    try:
        run.finish(seconds=180)
    finally:
        ask("scontrol", "update", f"nodename={lost}", "state=resume")
    assert lost not in ask("squeue", "--noheader", "--states=COMPLETED", "--format=%N")
    assert_equal(without_masks, local)


def test_a_drained_node_ends_its_job_and_the_next_runs_on_another(without_accounting, without_masks, local):
    run = Run(without_masks, "--until", "boxes")
    wait_until(lambda: slow_masks_runs(without_masks), "the job of masks runs")
    (without_masks.folder / "quick").touch()
    (job, drained), *_ = (line.split() for line in ask("squeue", "--noheader", "--states=RUNNING", "--format=%A %N"))
    ask("scontrol", "update", f"nodename={drained}", "state=drain", "reason=test")
    try:
        run.finish(seconds=180)
    finally:
        ask("scontrol", "update", f"nodename={drained}", "state=resume")
    nodes = dict(line.split() for line in ask("squeue", "--noheader", "--states=COMPLETED", "--format=%A %N"))
    assert nodes[job] == drained
    later = [node for number, node in nodes.items() if int(number) > int(job)]
    assert later
    assert drained not in later
    assert_equal(without_masks, local)


def test_a_killed_snakemake_goes_on_beside_its_old_job(without_accounting, without_masks, local):
    first = Run(without_masks, "--until", "boxes")
    wait_until(lambda: slow_masks_runs(without_masks), "the job of masks runs")
    first.process.kill()
    first.process.wait()
    (without_masks.folder / "quick").touch()
    without_masks.snakemake("--unlock")
    Run(without_masks, "--until", "boxes").finish(seconds=180)
    wait_until(lambda: not ask("squeue", "--noheader"), "the old job has ended")
    assert_equal(without_masks, local)
    assert not without_masks.planned("--until", "boxes")


def longer_than_its_limit(config: dict) -> None:
    """No checkpoint is due: there is the one that is written when the signal comes, or none. The log's averages go on over the stop."""
    config["pretrain"]["mutdet"].update(iterations=STEPS, log_every=50, checkpoint_minutes=60.0)


def short_limit(profile: dict) -> None:
    """A minute for the first attempt. SLURM looks twice a minute, so the signal comes after some 25 to 55 seconds."""
    pretrain = profile["set-resources"]["pretrain"]
    pretrain.update(runtime="attempt", slurm_extra=pretrain["slurm_extra"].replace("120", "5"))


def test_a_training_that_meets_its_time_limit_goes_on_from_its_checkpoint(without_accounting, local, tmp_path):
    whole, project = local.copy(tmp_path / "whole"), local.copy(tmp_path / "project")
    for each in (whole, project):
        each.configure(longer_than_its_limit)
    whole.snakemake("--until", "pretrain")
    set_profile(project, squeue)
    set_profile(project, short_limit)
    (project.folder / "sitecustomize.py").write_text(SLOW_AT_FIRST)
    run = Run(project, "--until", "pretrain")
    run.finish(seconds=300)
    (told,) = re.findall(rf"stopped by a signal after step (\d+) of {STEPS}", run.shown)
    assert f"goes on at step {told} of {STEPS}" in (project.folder / "results/tiny/logs/pretrain/mutdet.log").read_text()
    assert_equal(project, whole)


def test_a_training_on_two_nodes_gives_the_weights_of_one_process(without_accounting, local, tmp_path):
    project = local.copy(tmp_path / "project")
    set_profile(project, squeue)
    set_profile(project, lambda profile: profile["set-resources"]["pretrain_nodes"].update(mem_mb=4000))
    project.configure(lambda config: config["pretrain"]["mutdet"].update(processes=2, nodes=2))
    project.configure(lambda config: config.update(runtime={"device": "cpu"}))
    assert project.planned("--until", "pretrain_nodes") == {"pretrain_nodes": 1}
    Run(project, "--until", "pretrain_nodes").finish(seconds=180)
    expected, found = (load_file(run.folder / "results/tiny/pretrain/mutdet/detector.safetensors") for run in (local, project))
    # AdamW takes whole steps along gradients that are zero but for rounding, such as those of key biases.
    assert sum(int(((found[name] - tensor).abs() > 1e-6).sum()) for name, tensor in expected.items()) < 200
