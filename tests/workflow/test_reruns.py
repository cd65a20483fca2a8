"""Only what changed runs again."""

import os
import shutil
import subprocess
import sys
from collections import Counter

import pytest

pytestmark = [pytest.mark.workflow]

AFTER_CODEBOOK = {"pseudo_labels": 2, "pretrain": 1, "finetune": 1, "detect_tiles": 3, "detect_merge": 1, "evaluate": 1, "tables_fill": 1, "report_page": 1}
FROM_BOXES = Counter({"boxes": 2, "embed": 2, "codebook": 1, **AFTER_CODEBOOK})


def test_a_second_run_has_nothing_to_do(project):
    assert project.planned() == Counter()


def test_a_changed_setting_reruns_its_stage_and_what_follows(project):
    project.configure(lambda config: config["boxes"]["search"].update(min_side=7))
    assert project.planned() == FROM_BOXES


def test_changed_code_reruns_its_stage_and_what_follows(project):
    with (project.folder / "mutdet/stages/boxes.py").open("a") as file:
        file.write("\n_CHANGED = 1\n")
    assert project.planned() == FROM_BOXES


def test_a_changed_comment_reruns_nothing(project):
    for path in (project.folder / "mutdet").rglob("*.py"):
        path.write_text(path.read_text() + "\n# a comment\n")
    assert project.planned() == Counter()


def test_a_new_method_reruns_nothing(project):
    package = project.folder / "mutdet"
    (package / "settings/pretraining/new.py").write_text((package / "settings/pretraining/untrained.py").read_text().replace('"none"', '"new"'))
    (package / "pretraining/new.py").write_text((package / "pretraining/untrained.py").read_text())
    registry = package / "settings/registries.py"
    line = '    "new": Plugin("mutdet.settings.pretraining.new:UntrainedPretrainSettings", "mutdet.pretraining.new:Untrained"),\n'
    registry.write_text(registry.read_text().replace("PRETRAINING_METHODS = {\n", "PRETRAINING_METHODS = {\n" + line))
    assert project.planned() == Counter()
    run = [sys.executable, "-m", "mutdet.settings.schema"]
    subprocess.run(run, cwd=project.folder, env={**os.environ, "PYTHONPATH": str(project.folder)}, check=True)
    project.configure(lambda config: config["pretrain"].update(new={"method": "new", "backbone": "file", "detector": "tiny"}))
    assert project.planned() == Counter({"pretrain": 1, "report_page": 1})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"clusters": 3}, {"report_page": 1}),
        ({"tiles": 2}, {"report_tiles": 1, "detect_tiles": 2, "report_page": 1}),
    ],
)
def test_the_page_and_the_choice_of_its_tiles_rerun_apart(project, change, expected):
    project.configure(lambda config: config.update(report=change))
    assert project.planned() == Counter(expected)


def test_a_touched_image_reruns_nothing(project):
    for path in (project.folder / "data/images").iterdir():
        os.utime(path)
    assert project.planned() == Counter()


def test_other_workers_rerun_nothing(project):
    project.configure(lambda config: config.update(runtime={"workers": 2, "device": "cpu"}))
    assert project.planned() == Counter()


def one_shard_of_everything():
    """What a change of the images of split train must rerun: one shard of each table, then what reads all of them."""
    single = {"partition_tiles": 2, "partition_index": 1, "masks": 1, "boxes": 1, "embed": 1, "codebook": 1}
    everything_trained = {**AFTER_CODEBOOK, "finetune": 2, "detect_tiles": 6, "detect_merge": 2, "evaluate": 2, "report_tiles": 1}
    return Counter({**single, **everything_trained})


def test_an_added_image_reruns_one_shard(project):
    data = project.folder / "data"
    for folder, suffix in (("images", "png"), ("labelTxt", "txt")):
        shutil.copy2(data / folder / f"scene_train_00000.{suffix}", data / folder / f"added.{suffix}")
    with (data / "train.txt").open("a") as file:
        file.write("added\n")
    assert project.planned() == one_shard_of_everything()


def test_a_removed_image_reruns_one_shard(project):
    path = project.folder / "data/train.txt"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if line.strip() != "scene_train_00001"))
    assert project.planned() == one_shard_of_everything()


def test_an_added_split_leaves_the_tiles_of_others_and_masks_alone(project):
    (project.folder / "data/test.txt").write_text("scene_val_00000\n")
    project.configure(lambda config: config["datasets"]["drawn"]["splits"].update(test="data/test.txt"))
    planned = project.planned()
    assert planned["partition_tiles"] == 2
    assert not {"masks", "boxes", "embed", "codebook", "pretrain"} & set(planned)


def test_the_first_label_file_of_split_test_reruns_all_its_shards(project):
    data = project.folder / "data"
    images = [data / "images" / f"unseen{number}.png" for number in range(6)]
    for image in images:
        shutil.copy2(data / "images/scene_val_00000.png", image)
    (data / "test.txt").write_text("".join(f"{image.stem}\n" for image in images))
    project.configure(lambda config: config["datasets"]["drawn"].update(splits={"train": "data/train.txt", "test": "data/test.txt"}, on_error="skip"))
    project.configure(lambda config: [config.pop(section) for section in ("finetune", "tables")])
    project.snakemake("--until", "partition_tiles", "partition_index")
    assert project.planned("--until", "partition_tiles", "partition_index") == Counter()
    shutil.copy2(data / "labelTxt/scene_val_00000.txt", data / "labelTxt/unseen3.txt")
    assert project.planned("--until", "partition_tiles", "partition_index") == Counter({"partition_tiles": 2, "partition_index": 1})


def test_settings_of_labels_alone_rerun_no_mask_and_the_window_does(project):
    project.configure(lambda config: config["datasets"]["drawn"].update(ignore_categories=["ship"], on_zero_area="error"))
    planned = project.planned()
    assert planned["partition_tiles"] == 4
    assert not {"masks", "boxes", "embed", "codebook", "pretrain"} & set(planned)
    project.configure(lambda config: config["datasets"]["drawn"].update(window=112))
    planned = project.planned()
    assert (planned["partition_tiles"], planned["masks"]) == (6, 2)


def test_a_deleted_intermediate_comes_back_equal_and_the_wave_stops(project):
    shard = next(project.folder.glob("results/tiny/boxes/search/drawn/00-of-02.parquet"))
    before = shard.read_bytes()
    shard.unlink()
    assert project.planned("--until", "boxes") == Counter({"boxes": 1})
    project.snakemake("--until", "boxes")
    assert shard.read_bytes() == before
    assert project.planned() == Counter()
