"""What a finished run takes beside its stages: Snakemake before, between and beside its jobs, and Python's start and imports in each of them.

    python benchmarks/workflow_overhead.py --log .snakemake/log/<newest>.snakemake.log --run results/demo

The log says, to the second, when jobs began and ended; Snakemake's benchmark files say how long their commands ran. Starts are measured anew, stage by stage
(best of three, files in memory), and counted by the log's jobs.
"""

import argparse
import csv
import re
import subprocess
import sys
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

from mutdet.settings.stages import STAGES

_CLOCK = re.compile(r"\[(\w+ \w+ +\d+ [\d:]+ \d+)\]")
_DATE = re.compile(r"\s+Date: ([\d-]+ [\d:]+)")
_RULE = re.compile(r"(?:local)?rule (\w+):")
_JOB = re.compile(r"\s+jobid: (\d+)")
_END = re.compile(r"Finished jobid: (\d+)")


def read_log(path: Path) -> tuple[datetime, list[tuple[datetime, datetime]]]:
    """When Snakemake began, and when each of its jobs began and ended."""
    begun, clock, starts, jobs = None, None, {}, []
    for line in path.read_text().splitlines():
        if found := _DATE.match(line):
            begun = begun or datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S")
        elif found := _CLOCK.match(line):
            clock = datetime.strptime(found[1], "%a %b %d %H:%M:%S %Y")
        elif (found := _JOB.match(line)) and clock:
            starts[found[1]] = clock
        elif (found := _END.match(line)) and clock and found[1] in starts:
            jobs.append((starts[found[1]], clock))
    if begun is None or not jobs:
        raise SystemExit(f"{path}: no log of a run of Snakemake")
    return begun, jobs


def seconds_without_job(begun: datetime, jobs: list[tuple[datetime, datetime]]) -> float:
    """Time from the start of Snakemake to the end of the last job in which none runs."""
    idle, covered = 0.0, begun
    for start, end in sorted(jobs):
        idle += max(0.0, (start - covered).total_seconds())
        covered = max(covered, end)
    return idle


def modules_started(path: Path) -> Counter[str]:
    """How often the module of each stage was started; a rule has the name of its stage or begins with it."""
    named = {name.replace(" ", "_"): stage.function.partition(":")[0] for name, stage in STAGES.items()}
    rules = [found[1] for line in path.read_text().splitlines() if (found := _RULE.match(line))]
    fitting = (max((name for name in named if rule.startswith(name)), key=len, default="") for rule in rules)
    return Counter(named[name] for name in fitting if name)


def seconds_to_start(module: str) -> float:
    """Time until the command of a stage has imported what it needs."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import mutdet.cli, {module}"], check=True)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True)
    given = parser.parse_args()
    begun, jobs = read_log(given.log)
    wall = (max(end for _, end in jobs) - begun).total_seconds()
    commands = sum(float(row["s"]) for path in given.run.glob("benchmarks/**/*.tsv") for row in csv.DictReader(path.open(), delimiter="\t"))
    in_log = sum((end - start).total_seconds() for start, end in jobs)
    idle = seconds_without_job(begun, jobs)
    started = modules_started(given.log)
    starts = sum(count * seconds_to_start(module) for module, count in started.items())
    print(f"{len(jobs)} jobs in {wall:.0f} s; {idle:.0f} s without a job ({idle / wall:.1%})")
    print(f"jobs took {in_log:.0f} s by the log, their commands {commands:.0f} s ({(in_log - commands) / in_log:.1%} beside them)")
    print(f"{started.total()} starts of Python with the stage's imports take {starts:.0f} s of these ({starts / commands:.1%})")


if __name__ == "__main__":
    main()
