"""Section of time and memory, from Snakemake's benchmark files."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mutdet.reporting.blocks import Charts, Note, Section, Table
from mutdet.reporting.charts import bars
from mutdet.reporting.numbers import MISSING, duration
from mutdet.reporting.run_folder import RunFolder
from mutdet.settings.report import ReportSettings

STAGES = (
    "scenes",
    "partition",
    "masks",
    "boxes",
    "backbone",
    "embed",
    "codebook",
    "pseudo_labels",
    "pretrain",
    "finetune",
    "detect",
    "evaluate",
    "tables",
    "report",
)


@dataclass(frozen=True)
class Job:
    """One run of a rule: end (seconds since 1970), duration in seconds, peak memory in MB."""

    end: float
    seconds: float
    megabytes: float


def resources_section(run: RunFolder, settings: ReportSettings) -> Section:
    """Seconds and memory of each stage, beside what was expected."""
    section = Section("resources", "Time and memory")
    jobs = {stage: _jobs(run.root / "benchmarks" / stage) for stage in STAGES}
    jobs = {stage: found for stage, found in jobs.items() if found}
    if not jobs:
        section.blocks.append(Note("There are no benchmark files: the stages were not run by Snakemake, or not yet."))
        return section
    names = list(jobs)
    taken = {stage: elapsed(found) for stage, found in jobs.items()}
    rows = []
    for stage, found in jobs.items():
        budget = settings.budgets.get(stage)
        added, longest, peak = sum(job.seconds for job in found), max(job.seconds for job in found), max(job.megabytes for job in found)
        rows.append([stage, str(len(found)), duration(taken[stage]), duration(budget), duration(added), duration(longest), f"{peak:.0f} MB"])
    whole = elapsed([job for found in jobs.values() for job in found])
    expected = sum(settings.budgets.values()) if settings.budgets else None
    rows.append(["all", str(sum(map(len, jobs.values()))), duration(whole), duration(expected), MISSING, MISSING, MISSING])
    caption = (
        "Time passed counts the seconds in which at least one job of the stage ran, from the times of the benchmark files; "
        "jobs of several stages run side by side, so stages may add up to more than the whole. Memory is the largest of one job."
    )
    section.blocks.append(Table(["stage", "jobs", "time passed", "expected", "jobs added up", "longest job", "peak memory"], rows, caption))
    groups = {"time passed": [taken[name] for name in names]}
    if settings.budgets:
        groups["expected"] = [settings.budgets.get(name, 0.0) for name in names]
    section.blocks.append(Charts([bars(names, groups, "Time of each stage", "seconds")]))
    return section


def elapsed(jobs: Sequence[Job]) -> float:
    """Seconds in which at least one of the jobs ran."""
    total, reached = 0.0, float("-inf")
    for job in sorted(jobs, key=lambda job: job.end - job.seconds):
        start = max(job.end - job.seconds, reached)
        total += max(job.end - start, 0.0)
        reached = max(reached, job.end)
    return total


def _jobs(folder: Path) -> list[Job]:
    jobs = []
    for path in sorted(folder.rglob("*.tsv")):
        with path.open(encoding="utf-8") as file:
            jobs += [Job(path.stat().st_mtime, _number(row.get("s")), _number(row.get("max_rss"))) for row in csv.DictReader(file, delimiter="\t")]
    return jobs


def _number(text: str | None) -> float:
    """Snakemake writes NA or - where a job was too short to be measured."""
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
