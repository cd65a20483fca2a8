"""The same tables however the data stages are cut: 1 shard or 16, one process at a time or two."""

from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stage_commands import StageServer, commands
from workflow_project import new_project

ROOT = Path("results/tiny")
KEYS = {
    "partition": ["tile_id"],
    "masks": ["tile_id", "mask_id"],
    "boxes": ["tile_id", "mask_id"],
    "embed": ["tile_id", "mask_id"],
    "pseudo_labels": ["tile_id", "mask_id"],
    "detect": ["tile_id", "score", "category"],
}
BEFORE_FINETUNE = ["partition/drawn/images.parquet", "pretrain/none/detector.safetensors", "pretrain/mutdet/detector.safetensors"]


@pytest.fixture(scope="module")
def server():
    server = StageServer()
    yield server
    server.close()


def run(server, folder, shards, processes, *targets, change=None):
    """A run cut in some way, of the config after a change."""
    project = new_project(folder)
    if change:
        project.configure(change)
    found = commands(project, "--config", f"shards={shards}", "--", *[str(ROOT / target) for target in targets])
    for _, group in groupby(found, key=stage):
        waiting = list(group)
        while waiting:
            children = [server.start(command, folder) for command in waiting[:processes]]
            assert [(child.wait(), child.log.read_text())[0] for child in children] == [0] * len(children)
            del waiting[:processes]
    return folder / ROOT


def stage(command):
    """Jobs of one stage read nothing from each other."""
    return command[0] if command[1].startswith("--") else tuple(command[:2])


def tables(root):
    """Rows of every table that is cut, sorted by key."""
    shards = sorted(root.rglob("*-of-*.parquet"))
    folders = {path.parent.relative_to(root) for path in shards}
    return {folder: rows([path for path in shards if path.parent == root / folder], KEYS[folder.parts[0]]) for folder in folders}


def rows(paths, key):
    table = pa.concat_tables([pq.read_table(path) for path in paths])
    return table.sort_by([(name, "ascending") for name in key])


def whole_files(root):
    """Everything that is not cut, by its bytes."""
    files = [path for kind in ("parquet", "safetensors") for path in root.rglob(f"*.{kind}") if "-of-" not in path.name and "state" not in path.parts]
    return {path.relative_to(root): path.read_bytes() for path in files}


def check_equal(one, other):
    expected, found = tables(one), tables(other)
    assert found.keys() == expected.keys()
    assert sum(len(table) for table in expected.values()) > 0
    assert [folder for folder in expected if not found[folder].equals(expected[folder])] == []
    expected, found = whole_files(one), whole_files(other)
    assert found.keys() == expected.keys()
    assert [path for path in expected if found[path] != expected[path]] == []


def test_one_shard_is_sixteen_up_to_pretraining(server, tmp_path):
    whole = run(server, tmp_path / "whole", 1, 1, *BEFORE_FINETUNE)
    cut = run(server, tmp_path / "cut", 16, 2, *BEFORE_FINETUNE)
    assert {folder.parts[0] for folder in tables(whole)} == {"partition", "masks", "boxes", "embed", "pseudo_labels"}
    assert {path.parts[0] for path in whole_files(whole)} == {"partition", "backbone", "codebook", "pretrain"}
    check_equal(whole, cut)


@pytest.mark.slow
def test_one_shard_is_sixteen_to_the_end(server, tmp_path):
    check_equal(run(server, tmp_path / "whole", 1, 1), run(server, tmp_path / "cut", 16, 2))


def test_two_at_a_time_are_one_after_the_other(server, tmp_path):
    alone = run(server, tmp_path / "alone", 2, 1, *BEFORE_FINETUNE)
    together = run(server, tmp_path / "together", 2, 2, *BEFORE_FINETUNE)
    check_equal(alone, together)
    shards = {path.relative_to(alone): path.read_bytes() for path in alone.rglob("*-of-*.parquet")}
    assert {path.relative_to(together): path.read_bytes() for path in together.rglob("*-of-*.parquet")} == shards


def without_masks(config):
    config["boxes"]["search"]["keep_masks"] = False


def test_masks_that_are_not_kept_change_no_other_table(server, tmp_path):
    whole = tables(run(server, tmp_path / "kept", 2, 1, *BEFORE_FINETUNE))
    found = tables(run(server, tmp_path / "not_kept", 2, 1, *BEFORE_FINETUNE, change=without_masks))
    assert {folder.parts[0] for folder in whole.keys() - found.keys()} == {"masks"}
    assert [folder for folder in found if not found[folder].equals(whole[folder])] == []


def test_masks_are_kept_where_another_variant_wants_them(tmp_path):
    project = new_project(tmp_path)
    project.configure(without_masks)
    assert project.planned("stages").keys() >= {"masks_and_boxes", "embed"}
    assert "masks" not in project.planned("stages")
    project.configure(lambda config: config["boxes"].update(other={"masks": "search"}))
    planned = project.planned("stages")
    assert (planned["masks"], planned["boxes"], planned["masks_and_boxes"]) == (2, 2, 2)
