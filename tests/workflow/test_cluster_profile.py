"""What the SLURM profile asks for, without a SLURM: every rule is there, and killed jobs get more."""

import os
import re
from unittest import mock

import pytest
import yaml
from workflow_project import REPOSITORY, Project

pytestmark = [pytest.mark.workflow]
PROFILE = yaml.safe_load((REPOSITORY / "profiles/slurm/config.yaml").read_text())
RULES = {name for path in (REPOSITORY / "workflow/rules").glob("*.smk") for name in re.findall(r"^rule (\w+):", path.read_text(), re.MULTILINE)}


def jobs(project: Project, *arguments: str) -> dict[str, list[dict[str, str]]]:
    """Resources of every job of a whole run, by rule; a rule that runs where Snakemake runs is named `local ...`."""
    shown = project.snakemake("-n", "--forceall", *arguments).stdout
    found: dict[str, list[dict[str, str]]] = {}
    for local, rule, resources in re.findall(r"(local)?(?:check)?rule (\w+):\n(?:.+\n)*?\s+resources: (.*)", shown):
        found.setdefault(f"{local} {rule}".strip(), []).append(dict(part.split("=", 1) for part in resources.split(", ")))
    return found


def test_every_rule_has_its_needs_and_nothing_else_does():
    assert set(PROFILE["set-resources"]) == RULES


def test_what_is_asked_for_grows_with_every_attempt():
    for needs in [PROFILE["default-resources"], *PROFILE["set-resources"].values()]:
        assert all("attempt" in str(needs[name]) for name in ("runtime", "mem_mb") if name in needs)


def test_groups_hold_no_rule_of_the_gpu_partition():
    assert not [rule for rule in PROFILE["groups"] if PROFILE["set-resources"][rule].get("slurm_partition") == "gpu"]


def test_rules_get_partition_time_and_memory(finished):
    planned = jobs(finished, "--workflow-profile", "profiles/slurm")
    assert {job["slurm_partition"] for job in planned["embed"]} == {"gpu"}
    assert {(job["slurm_partition"], job["runtime"], job["mem_mb"]) for job in planned["codebook"]} == {("cpu", "240", "8000")}
    assert {job["gpu"] for job in planned["pretrain"]} == {"1"}


def test_small_rules_run_where_snakemake_runs_unless_told_otherwise(finished):
    small = {"backbone", "tables_fill", "report_page"}
    planned = jobs(finished, "--workflow-profile", "profiles/slurm")
    assert {name for name in planned if name.startswith("local ")} == {f"local {name}" for name in [*small, "all"]}
    with mock.patch.dict(os.environ, {"MUTDET_SUBMIT_ALL": "1"}):
        assert small < set(jobs(finished, "--workflow-profile", "profiles/slurm"))


def test_what_needs_no_gpu_asks_for_none(project):
    planned = jobs(project)
    assert {name for name in planned for job in planned[name] if job.get("gpu") == "1"} == {"embed", "pretrain", "finetune", "detect_tiles"}
    project.configure(lambda config: config.update(runtime={"device": "cpu"}))
    assert not [job for some in jobs(project).values() for job in some if job.get("gpu") == "1"]
