"""What Snakemake itself costs with many images and shards: the plan of a whole run, and a run with nothing to do. No stage runs."""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from measuring import machine

REPOSITORY = Path(__file__).parents[1]
PARTS = ("mutdet", "workflow", "profiles", "envs", "Snakefile")
SPLITS = {"train": 3, "val": 1}
"""Share of the images in each split, of four."""


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
    parser.add_argument("--plan-only", action="store_true", help="leave out the run with nothing to do")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        make_project(folder, given.config, given.images, given.shards)
        print(f"{machine()}; {given.config}, {given.images} images, {given.shards} shards", flush=True)
        taken, output = snakemake(folder, "-n")
        print(f"snakemake -n: {taken}, for {jobs_planned(output)} jobs", flush=True)
        if not given.plan_only:
            pretend_finished(folder)
            taken, output = snakemake(folder)
            assert "Nothing to be done" in output, output
            print(f"snakemake, all up to date: {taken}")
    finally:
        shutil.rmtree(folder)
