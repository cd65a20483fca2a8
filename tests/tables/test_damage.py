"""Finished outputs that were changed since are found by stat alone and moved aside."""

import json
import os
import time

import pytest

from mutdet.settings.console import log
from mutdet.tables import contents
from mutdet.tables.atomic import atomic_path
from mutdet.tables.claims import claimed
from mutdet.tables.damage import report_damaged, set_damaged_aside


@pytest.fixture
def table(tmp_path):
    """A finished output."""
    path = tmp_path / "boxes" / "00-of-02.parquet"
    with claimed([path]):
        write(path)
    return path


def write(path, text="rows"):
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def test_whole_outputs_stay_and_are_not_read(table, tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "_sha256", None)
    assert set_damaged_aside(tmp_path) == report_damaged(tmp_path) == []
    assert table.read_text() == "rows"


@pytest.mark.parametrize("damage", [lambda path: os.truncate(path, 2), lambda path: path.write_text("rose"), lambda path: path.write_text("")])
def test_a_damaged_output_is_moved_aside(table, tmp_path, damage):
    damage(table)
    broken = table.read_bytes()
    assert report_damaged(tmp_path) == [table]
    assert table.exists()
    assert set_damaged_aside(tmp_path) == [table]
    assert not table.exists()
    assert table.with_name("00-of-02.parquet.damaged").read_bytes() == broken
    assert set_damaged_aside(tmp_path) == []


def test_a_touched_output_stays_and_is_read_once(table, tmp_path, monkeypatch):
    os.utime(table)
    assert set_damaged_aside(tmp_path) == []
    monkeypatch.setattr(contents, "_sha256", None)
    assert set_damaged_aside(tmp_path) == []
    assert table.exists()


def test_a_missing_output_is_snakemakes_affair(table, tmp_path):
    table.unlink()
    assert set_damaged_aside(tmp_path) == []


def test_a_folder_with_a_missing_file_is_moved_as_a_whole(tmp_path):
    folder = tmp_path / "Task1"
    with claimed([folder]):
        write(folder / "Task1_plane.txt")
        write(folder / "Task1_ship.txt")
    (folder / "Task1_own.txt").write_text("somebody's own file is none of ours")
    assert set_damaged_aside(tmp_path) == []
    (folder / "Task1_ship.txt").unlink()
    assert set_damaged_aside(tmp_path) == [folder]
    assert not folder.exists()


def test_an_output_that_is_being_written_stays(table, tmp_path):
    with claimed([table]):
        table.write_text("half")
        assert set_damaged_aside(tmp_path) == []


def test_an_output_that_was_written_again_stays(table, tmp_path):
    with claimed([table]):
        write(table, "other rows")
    assert set_damaged_aside(tmp_path) == []


def test_outputs_without_a_claim_stay(tmp_path):
    (tmp_path / "old.parquet").write_text("from an earlier version")
    (tmp_path / ".half.parquet.claim").write_text("{")
    (tmp_path / "half.parquet").write_text("whose process was killed")
    assert set_damaged_aside(tmp_path) == []


@pytest.mark.slow
def test_ten_thousand_whole_files_take_less_than_a_second(tmp_path):
    for number in range(10_000):
        path = tmp_path / f"{number % 10}" / f"{number:05}-of-10000.parquet"
        path.parent.mkdir(exist_ok=True)
        path.write_text("rows")
        record = {"holder": "a" * 32, "started": 1, "process": None, "contents": contents.contents_of(path, [path])}
        path.with_name(f".{path.name}.claim").write_text(json.dumps(record))
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        assert set_damaged_aside(tmp_path) == []
        seconds.append(time.perf_counter() - began)
    log.info("%.2f s", min(seconds))
    assert min(seconds) < 1.0
