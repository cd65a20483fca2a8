"""Stage `report`, part page: one self-contained HTML page about a run."""

from mutdet.reporting.page import render_page
from mutdet.settings.base import Runtime
from mutdet.settings.console import log
from mutdet.settings.errors import UserError
from mutdet.settings.report import ReportPageFiles, ReportSettings
from mutdet.tables.atomic import atomic_path


def run_page(files: ReportPageFiles, settings: ReportSettings, runtime: Runtime) -> None:
    """Render the page; whatever the run has not written is left out with a sentence.

    Raises:
        UserError: the folder of the run does not exist.
    """
    if not files.run.is_dir():
        raise UserError("folder of the run does not exist", file=files.run, remedy="give results/<run>")
    page = render_page(files.run, settings)
    with atomic_path(files.output) as path:
        path.write_text(page, encoding="utf-8")
    log.info("report: %.1f MB, %s", len(page.encode()) / 1e6, files.output)
