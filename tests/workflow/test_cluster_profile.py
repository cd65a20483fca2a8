"""What the SLURM profile asks for, without a SLURM: every rule is there, and killed jobs get more."""

import re

import pytest
import yaml
from workflow_project import REPOSITORY, Project, new_project

pytestmark = [pytest.mark.workflow]
PROFILE = yaml.safe_load((REPOSITORY / "profiles/slurm/config.yaml").read_text())
RULE = r"^(?:rule|use rule \w+ as) (\w+)(?: with)?:"
RULES = {name for path in (REPOSITORY / "workflow/rules").glob("*.smk") for name in re.findall(RULE, path.read_text(), re.MULTILINE)}


@pytest.fixture
def project(tmp_path) -> Project:
    """A project without results: a dry run needs none."""
    return new_project(tmp_path)


def jobs(project: Project, *arguments: str) -> dict[str, list[dict[str, str]]]:
    """Resources of every job of a whole run, by rule."""
    shown = project.snakemake("-n", *arguments).stdout
    found: dict[str, list[dict[str, str]]] = {}
    for rule, resources in re.findall(r"rule (\w+):\n(?:.+\n)*?\s+resources: (.*)", shown):
        found.setdefault(rule, []).append(dict(part.split("=", 1) for part in resources.split(", ")))
    return found


def test_every_rule_has_its_needs_and_nothing_else_does():
    assert set(PROFILE["set-resources"]) == RULES


def test_what_is_asked_for_grows_with_every_attempt():
    for needs in [PROFILE["default-resources"], *PROFILE["set-resources"].values()]:
        assert all("attempt" in str(needs[name]) for name in ("runtime", "mem_mb") if name in needs)


def test_groups_hold_no_rule_of_the_gpu_partition():
    assert not [rule for rule in PROFILE["groups"] if PROFILE["set-resources"][rule].get("slurm_partition") == "gpu"]


def test_rules_get_partition_time_and_memory(project):
    planned = jobs(project, "--workflow-profile", "profiles/slurm")
    assert {job["slurm_partition"] for job in planned["embed"]} == {"gpu"}
    assert {(job["slurm_partition"], job["runtime"], job["mem_mb"]) for job in planned["codebook"]} == {("cpu", "240", "8000")}
    assert sorted(job["gpu"] for job in planned["pretrain"]) == ["0", "1"]  # method none needs none


def test_what_needs_no_gpu_asks_for_none(project):
    planned = jobs(project)
    assert {name for name in planned for job in planned[name] if job.get("gpu") == "1"} == {"embed", "pretrain", "finetune", "detect_tiles"}
    project.configure(lambda config: config.update(runtime={"device": "cpu"}))
    assert not [job for some in jobs(project).values() for job in some if job.get("gpu") == "1"]
