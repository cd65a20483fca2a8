"""What Snakemake itself costs with many images and shards: the plan of a whole run, a run with nothing to do, and one whose jobs only sleep. No stage runs."""

import argparse
import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import yaml
from measuring import machine

REPOSITORY = Path(__file__).parents[1]
PARTS = ("mutdet", "workflow", "profiles", "envs", "Snakefile")
SPLITS = {"train": 3, "val": 1}
"""Share of the images in each split, of four."""
SLEEP = """mutdet() {
    sleep 10
    while [ $# -gt 0 ]; do if [ "$1" = --output ]; then touch "$2"; fi; shift; done
}
"""
"""Stands in for the command `mutdet` in every bash that a rule starts."""


def make_project(folder: Path, config: str, images: int, shards: int) -> None:
    """A folder with the workflow, a config of the repository with another number of shards, and empty images and labels."""
    for part in PARTS:
        (folder / part).symlink_to(REPOSITORY / part)
    content = yaml.safe_load((REPOSITORY / "config" / config).read_text())
    content["shards"] = shards
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    dataset = next(iter(content["datasets"].values()))
    for place, suffix in ((dataset["images"], "png"), (dataset["labels"], "txt")):
        (folder / place).mkdir(parents=True)
        for number in range(images):
            (folder / place / f"P{number:06d}.{suffix}").touch()
    end = 0
    for split, share in SPLITS.items():
        start, end = end, end + images * share // sum(SPLITS.values())
        (folder / dataset["splits"][split]).write_text("".join(f"P{number:06d}\n" for number in range(start, end)))


def snakemake(folder: Path, *arguments: str) -> tuple[str, str]:
    """Time and output of one call; its CPU time is what the time would be on an idle machine, nearly."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    start, start_cpu = time.perf_counter(), cpu_seconds()
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nocolor", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, text=True, capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return f"{time.perf_counter() - start:.1f} s, {cpu_seconds() - start_cpu:.1f} s of CPU", done.stdout + done.stderr


def run_of_sleepers(folder: Path, *arguments: str) -> str:
    """Time and Snakemake's own CPU time of a run that cuts tiles, with commands that only sleep."""
    (folder / "sleep.sh").write_text(SLEEP)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "BASH_ENV": str(folder / "sleep.sh")}
    command = [sys.executable, "-m", "snakemake", "--cores", "32", "--nocolor", "--until", "partition_tiles", *arguments]
    start, own = time.perf_counter(), 0.0
    with (folder / "sleepers.log").open("w") as log, subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log) as running:
        while running.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                own = sum(psutil.Process(running.pid).cpu_times()[:2]) or own
            time.sleep(0.2)
    output = (folder / "sleepers.log").read_text()
    if running.returncode:
        raise SystemExit(output)
    shutil.rmtree(folder / "results")
    jobs = output.count("Finished jobid")
    return f"{time.perf_counter() - start:.1f} s, {own:.1f} s of CPU in Snakemake itself, for {jobs} jobs of 10 s, 32 at a time"


def cpu_seconds() -> float:
    """CPU time of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def pretend_finished(folder: Path) -> None:
    """Empty outputs with the metadata that Snakemake keeps of finished jobs."""
    _, summary = snakemake(folder, "--summary")
    for line in summary.splitlines():
        name = line.partition("\t")[0]
        if not name.startswith("results/"):
            continue
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix:
            path.touch()
        else:
            path.mkdir(exist_ok=True)
    snakemake(folder, "--touch", "--quiet", "all")


def jobs_planned(output: str) -> str:
    """Number of jobs that a dry run announces."""
    return next(line.split()[1] for line in output.splitlines() if line.startswith("total"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--shards", type=int, default=256)
    parser.add_argument("--config", default="dota_r50.yaml", help="file in config/")
    parser.add_argument("--plan-only", action="store_true", help="leave out the runs")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        make_project(folder, given.config, given.images, given.shards)
        print(f"{machine()}; {given.config}, {given.images} images, {given.shards} shards", flush=True)
        taken, output = snakemake(folder, "-n")
        print(f"snakemake -n: {taken}, for {jobs_planned(output)} jobs", flush=True)
        if not given.plan_only:
            print(f"snakemake: {run_of_sleepers(folder)}", flush=True)
            # Another limit than Snakemake's default stays (`onstart` in Snakefile).
            print(f"snakemake with a limit on starts: {run_of_sleepers(folder, '--max-jobs-per-timespan', '101/1s')}", flush=True)
            pretend_finished(folder)
            taken, output = snakemake(folder)
            assert "Nothing to be done" in output, output
            print(f"snakemake, all up to date: {taken}")
    finally:
        shutil.rmtree(folder)
