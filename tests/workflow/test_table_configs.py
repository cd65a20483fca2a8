"""Every config of a table passes the schema and a dry run, on empty files of the names that the data would have."""

import pytest
import yaml
from workflow_project import PARTS, REPOSITORY, Project, stand_in

pytestmark = [pytest.mark.workflow]
CONFIGS = sorted((REPOSITORY / "config" / "tables").glob("*.yaml"))


@pytest.fixture
def project(tmp_path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    for part in [*PARTS, "config"]:
        (folder / part).symlink_to(REPOSITORY / part)
    return Project(folder)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_tables_can_be_planned(project, path):
    config = yaml.safe_load(path.read_text())
    for name, dataset in config["datasets"].items():
        stand_in(project.folder, name, dataset)
    planned = project.planned("--configfile", f"config/tables/{path.name}", "--config", "shards=2", "--", "tables")
    wanted = {name for table in config["tables"].values() for name in table["experiments"]}
    used = {config["finetune"][name]["pretrain"] for name in wanted}
    assert planned["finetune"] == planned["evaluate"] == len(wanted)
    assert planned["pretrain"] == len(used)
    assert planned["tables_fill"] == len(config["tables"])
    assert planned["masks"] == 2 * len(config.get("masks", ()))
    assert planned["codebook"] == len(config.get("codebook", ()))


# Table that is diagnosed, diagnosis, and the diagnosis' own table if it has another name.
DIAGNOSES = [
    ("hrsc", "label_boxes", None, 3, 12, 1),
    ("hrsc", "long_pretraining", None, 3, 12, 1),
    ("hrsc", "parts", None, 5, 20, 2),
    ("hituav_close", "learning_rate", None, 3, 12, 1),
    ("hituav_close", "long_pretraining", None, 3, 12, 1),
    ("hituav_close", "long_pretraining", "long_pretraining_seeds", 5, 20, 1),
    ("hituav_close", "parts", None, 6, 24, 2),
    ("hituav_close", "patches", None, 5, 20, 0),
    ("hituav_close", "pretraining_seeds", None, 9, 16, 1),
]


@pytest.mark.parametrize(("table", "name", "own_table", "pretrainings", "finetunings", "codebooks"), DIAGNOSES)
def test_diagnoses_share_all_but_what_they_change(project, table, name, own_table, pretrainings, finetunings, codebooks):
    path = REPOSITORY / f"config/tables/{table}.yaml"
    for dataset, settings in yaml.safe_load(path.read_text())["datasets"].items():
        stand_in(project.folder, dataset, settings)
    over = ["--configfile", f"config/tables/{table}.yaml", f"config/diagnosis/{table}_{name}.yaml"]
    planned = project.planned(*over, "--", f"results/tables_{table}/tables/{own_table or name}.parquet")
    assert planned["pretrain"] == pretrainings
    assert planned["finetune"] == finetunings
    # UP-DETR draws its own boxes, so `patches` makes no mask.
    assert planned["masks"] == planned["boxes"] == planned["embed"] == (2 if codebooks else 0)
    assert planned["codebook"] == codebooks
    assert planned["backbone_train"] == 1


def test_diagnosis_of_the_demo_needs_no_mask(project):
    over = ["--configfile", "config/config.yaml", "config/diagnosis/scenes_patches.yaml"]
    planned = project.planned(*over, "--", "results/demo/tables/patches.parquet")
    assert (planned["pretrain"], planned["finetune"], planned["backbone_train"]) == (4, 16, 1)
    assert planned["masks"] == planned["codebook"] == 0


def test_one_more_row_reruns_nothing_else(project):
    path = REPOSITORY / "config/tables/hrsc.yaml"
    stand_in(project.folder, "hrsc", yaml.safe_load(path.read_text())["datasets"]["hrsc"])
    root = "results/tables_hrsc/tables"
    first, more = (project.planned("--configfile", "config/tables/hrsc.yaml", "--", f"{root}/{name}.parquet") for name in ("first", "ten_percent"))
    assert more["masks"] == first["masks"]
    assert more["codebook"] == first["codebook"] == 1
    assert more["pretrain"] - first["pretrain"] == 2
    assert more["finetune"] - first["finetune"] == 8
