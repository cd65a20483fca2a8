"""The report: sections put into one HTML page that opens without a network."""

from pathlib import Path

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from mutdet.reporting.blocks import Details, Fact, Note, Section
from mutdet.reporting.cluster_pictures import clusters_section
from mutdet.reporting.comparison import compare
from mutdet.reporting.detection_pictures import detections_section
from mutdet.reporting.distributions import distributions_section
from mutdet.reporting.numbers import points, thousands
from mutdet.reporting.proposal_pictures import proposals_section
from mutdet.reporting.resources import STAGES, resources_section
from mutdet.reporting.results import read_evaluations, results_section
from mutdet.reporting.run_folder import RunFolder
from mutdet.reporting.tables_section import tables_section
from mutdet.reporting.trainings import trainings_section
from mutdet.settings.console import progress
from mutdet.settings.report import ReportSettings

_SECTIONS = (
    tables_section,
    results_section,
    proposals_section,
    clusters_section,
    detections_section,
    distributions_section,
    trainings_section,
    resources_section,
)


def render_page(root: Path, settings: ReportSettings) -> str:
    """HTML of a run's report; what the run has not written is left out with a sentence.

    Args:
        root: folder of the run.
        settings: of the report stage.
    """
    run = RunFolder(root, settings.shards)
    sections = [*(build(run, settings) for build in progress(_SECTIONS, "report: sections")), _settings_section(run)]
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(name=root.name, facts=_facts(run, settings), sections=sections, style=style)


def _facts(run: RunFolder, settings: ReportSettings) -> list[Fact]:
    """Figures at the head of the page; those that a run lacks are left out."""
    images = sum(run.count([path]) for path in sorted((run.root / "partition").glob("*/images.parquet")))
    tiles = sum(run.count(run.shards("partition", dataset, "unlabelled")) for dataset in run.folders("partition"))
    counts = {"source images": images, "unlabelled tiles": tiles}
    for stage in ("masks", "boxes"):
        counts[stage] = sum(run.count(run.sharded(stage, variant)) for variant in run.folders(stage)[:1])
    counts["experiments"] = len(run.folders("evaluate"))
    facts = [Fact(thousands(count), name) for name, count in counts.items() if count]
    rows = compare(read_evaluations(run), settings.baseline)
    # By area: VOC07 gives 9.1 points for one right box at the top of a ranking, which may be the whole of a short run's figure.
    gains = {
        "points of AP50 (area) gained by pre-training": [row["area_ap50_gain"] for row in rows if row["epochs"] != 0],
        "points of recall gained before fine-tuning": [row["recall_50_gain"] for row in rows if row["epochs"] == 0],
    }
    best = {name: max(found) for name, values in gains.items() if (found := [value for value in values if value is not None])}
    return facts + [Fact(points(value), name) for name, value in best.items()]


def _settings_section(run: RunFolder) -> Section:
    section = Section("settings", "Settings of the run")
    for stage in STAGES:
        for variant in run.folders(stage):
            settings = run.settings(stage, variant)
            if settings is not None:
                section.blocks.append(Details(f"{stage} · {variant}", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)))
    if not section.blocks:
        section.blocks.append(Note("No stage has left a note of its settings."))
    return section
