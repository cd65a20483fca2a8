"""What README, docs and configs tell the reader to type can be typed, and their links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest

from mutdet.cli import build_parser

REPOSITORY = Path(__file__).parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
CONFIGS = sorted((REPOSITORY / "config").rglob("*.yaml"))
NEEDS_NO_CORES = ("--workflow-profile", "--unlock", "--lint", " -n", "--cores")


def name(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


def commands(text: str, program: str) -> list[str]:
    """Commands in code blocks and between backticks, and after `Run:` in comments of configs; lines that go on are joined."""
    joined = re.sub(r"\\\n\s*", "", text)
    found = re.findall(rf"^    ({program} .*)$|`({program} [^`]*)`|Run: ({program} [^(\n]*)|^#   ({program} .*)$", joined, re.MULTILINE)
    return [next(filter(None, groups)).split("    #")[0].strip() for groups in found]


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "")).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [*PAGES, *CONFIGS], ids=name)
def test_runs_of_snakemake_are_complete(path):
    for command in commands(path.read_text(), "snakemake"):
        assert any(option in command for option in NEEDS_NO_CORES), command
        for config in re.findall(r"config/[\w/]+\.yaml", command):
            assert (REPOSITORY / config).is_file(), command


def test_some_runs_of_snakemake_are_documented():
    assert sum(len(commands(path.read_text(), "snakemake")) for path in PAGES) > 20
    assert sum(len(commands(path.read_text(), "snakemake")) for path in CONFIGS) > 10


def test_stages_are_run_with_files_and_settings_that_they_have():
    found = [command for page in PAGES for command in commands(page.read_text(), "mutdet") if " --" in command and "..." not in command]
    assert len(found) > 8
    for command in found:
        if "--help" not in command:
            build_parser().parse_args(shlex.split(command.replace("<", "").replace(">", ""))[1:])


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path if path else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target
