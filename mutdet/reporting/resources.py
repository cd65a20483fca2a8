"""Section of time and memory, from Snakemake's benchmark files."""

import csv
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
    "masks_and_boxes",
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
_CAPTION = (
    "From Snakemake's benchmark files, which say how long each job took when it last ran, and not when. Times of jobs are added up; as jobs run side by side, "
    "the run itself takes less. Memory is the largest of one job. The making of this page counts where it was made before."
)


@dataclass(frozen=True)
class Job:
    """One run of a rule: duration in seconds, peak memory in MB."""

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
    taken = {stage: sum(job.seconds for job in found) for stage, found in jobs.items()}
    rows = []
    for stage, found in jobs.items():
        longest, peak = max(job.seconds for job in found), max(job.megabytes for job in found)
        rows.append([stage, str(len(found)), duration(taken[stage]), duration(settings.budgets.get(stage)), duration(longest), f"{peak:.0f} MB"])
    expected = sum(settings.budgets.values()) if settings.budgets else None
    rows.append(["all", str(sum(map(len, jobs.values()))), duration(sum(taken.values())), duration(expected), MISSING, MISSING])
    section.blocks.append(Table(["stage", "jobs", "time of the jobs", "expected", "longest job", "peak memory"], rows, _CAPTION))
    groups = {"time of the jobs": list(taken.values())}
    if settings.budgets:
        groups["expected"] = [settings.budgets.get(stage, 0.0) for stage in taken]
    section.blocks.append(Charts([bars(list(taken), groups, "Time of each stage", "seconds")]))
    return section


def _jobs(folder: Path) -> list[Job]:
    jobs = []
    for path in sorted(folder.rglob("*.tsv")):
        with path.open(encoding="utf-8") as file:
            jobs += [Job(_number(row.get("s")), _number(row.get("max_rss"))) for row in csv.DictReader(file, delimiter="\t")]
    return jobs


def _number(text: str | None) -> float:
    """Snakemake writes NA or - where a job was too short to be measured."""
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
