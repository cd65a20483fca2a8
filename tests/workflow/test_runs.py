"""Whole runs: same tables however they are made, no label before finetune, clear errors before any job."""

import shutil
import subprocess
import sys

import pytest
import yaml
from workflow_project import PARTS, REPOSITORY, Project, new_project, stand_in

pytestmark = [pytest.mark.workflow]

BEFORE_FINETUNE = ["masks", "boxes", "backbone", "embed", "codebook", "pseudo_labels", "pretrain", "partition/drawn/unlabelled"]


def tables(project: Project) -> dict[str, bytes]:
    root = project.folder / "results/tiny"
    files = [path for stage in BEFORE_FINETUNE for kind in ("parquet", "safetensors") for path in (root / stage).rglob(f"*.{kind}")]
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory) -> Project:
    """The same run as far as it goes once every label is deleted."""
    project = new_project(tmp_path_factory.mktemp("unlabelled"))
    shutil.rmtree(project.folder / "data/labelTxt")
    project.snakemake("--cores", "1", "--until", "pretrain")
    return project


def test_without_labels_everything_before_finetune_is_byte_identical(finished, unlabelled):
    expected, found = tables(finished), tables(unlabelled)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []


def test_without_labels_the_jobs_that_read_them_tell_so_in_one_line(unlabelled):
    done = unlabelled.snakemake(check=False)
    assert done.returncode != 0
    shown = (done.stdout + done.stderr).splitlines()
    assert not any("Traceback" in line for line in shown)
    assert any("mutdet partition index: data/labelTxt: image scene_train_00000: label file scene_train_00000.txt is missing; add it" in line for line in shown)
    assert not (unlabelled.folder / "results/tiny/partition/drawn/images.parquet").exists()
    assert not (unlabelled.folder / "results/tiny/finetune").exists()


@pytest.mark.parametrize(
    ("section", "change", "told"),
    [
        ("boxes", {"search": {"masks": "search", "min_sid": 4}}, "boxes.search.min_sid"),
        ("boxes", {"search": {"masks": "absent"}}, "boxes.search.masks = 'absent'"),
        ("shards", 0, "shards = 0"),
        ("masks", {"search": {"generator": "magic"}}, "masks.search"),
        ("detect", {"split": "test"}, "detect.split, for finetune.none-0: data set 'drawn' has no split test, but unlabelled, train, val"),
        ("evaluate", {"split": "test"}, "evaluate.split: the workflow takes it from detect.split"),
    ],
)
def test_a_wrong_config_is_told_in_one_line_before_any_job(project, section, change, told):
    project.configure(lambda config: config.update({section: change}))
    done = project.snakemake("-n", check=False)
    assert done.returncode != 0
    shown = done.stdout + done.stderr
    assert "Traceback" not in shown
    assert any(told in line for line in shown.splitlines()), shown


def test_images_of_one_id_are_told_in_one_line_before_any_job(project):
    image = project.folder / "data/images/scene_train_00000.png"
    shutil.copy(image, image.with_suffix(".tif"))
    done = project.snakemake("-n", check=False)
    assert done.returncode != 0
    shown = done.stdout + done.stderr
    assert "Traceback" not in shown
    assert "data/images/scene_train_00000.tif: has the id of scene_train_00000.png; rename or remove one of the two" in shown.splitlines()


def test_an_image_that_snakemake_cannot_name_is_told_in_one_line_before_any_job(project):
    image = project.folder / "data/images/scene_train_00000.png"
    shutil.copy(image, image.with_name("scene{1}.png"))
    with (project.folder / "data/train.txt").open("a") as file:
        file.write("scene{1}\n")
    done = project.snakemake("-n", check=False)
    assert done.returncode != 0
    shown = done.stdout + done.stderr
    assert "Traceback" not in shown
    assert "data/images/scene{1}.png: has a brace in its name, which Snakemake takes for a wildcard; rename it" in shown.splitlines()


def test_lint_is_clean(project):
    assert project.snakemake("--lint", check=False).returncode == 0


@pytest.mark.parametrize("name", ["dota_r50", "dior_r_r50", "rsdet4_swin_t"])
def test_paper_configs_pass_the_schema_and_a_dry_run(tmp_path, finished, name):
    for part in PARTS:
        (tmp_path / part).symlink_to(finished.folder / part)
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    config = yaml.safe_load((tmp_path / f"config/{name}.yaml").read_text())
    for data, dataset in config["datasets"].items():
        stand_in(tmp_path, data, dataset)
    planned = Project(tmp_path).planned("--configfile", f"config/{name}.yaml")
    assert planned["masks"] == config["shards"] * len(config["datasets"])
    assert planned["finetune"] == len(config["finetune"])


def test_snakemake_looks_for_jobs_to_start_only_when_one_has_ended(project):
    """A limit on starts that somebody names stays, and with it a look every second."""

    def looks_and_jobs(*arguments: str) -> tuple[int, int]:
        done = project.snakemake("--verbose", "--cores", "1", "--forcerun", "partition_tiles", "--until", "partition_tiles", *arguments)
        return (done.stdout + done.stderr).count("Ready jobs: "), (done.stdout + done.stderr).count("Finished jobid: ")

    looks, jobs = looks_and_jobs()
    assert jobs > 2
    assert looks <= jobs
    looks, jobs = looks_and_jobs("--max-jobs-per-timespan", "101/1s")
    assert looks > jobs


def test_schema_and_settings_reference_are_current():
    from mutdet.settings import schema

    assert (REPOSITORY / schema.SCHEMA_FILE).read_text() == schema.schema_text(), "run python -m mutdet.settings.schema"
    assert (REPOSITORY / schema.REFERENCE_FILE).read_text() == schema.reference_text(), "run python -m mutdet.settings.schema"


@pytest.mark.parametrize("stage", ["masks", "partition tiles", "pretrain", "evaluate"])
def test_every_stage_explains_its_settings(stage):
    done = subprocess.run([sys.executable, "-m", "mutdet", *stage.split(), "--help"], capture_output=True, text=True, check=True)
    assert "default:" in done.stdout
    assert "--settings JSON" in done.stdout
