"""What writes outputs: on a full disk or in a read-only folder one line that names the file, and nothing partial; else a file for all whom the umask lets."""

import os
import stat

import numpy as np
import pyarrow as pa
import pytest
import torch
from other_disks import remount_read_only, small_disk, small_files
from safetensors.torch import save_file

from mutdet import cli
from mutdet.settings.errors import UserError
from mutdet.tables import embeddings
from mutdet.tables.atomic import atomic_path
from mutdet.tables.vectors import vectors_to_column
from mutdet.tables.weights import write_weights
from mutdet.tables.write import TableWriter, write_json, write_table
from mutdet.training.state import Checkpoints

NOISE = np.random.default_rng(0).normal(size=(2000, 64)).astype(np.float32)
SCHEMA = embeddings.schema(64)


def rows(count):
    return pa.table([pa.array([str(i) for i in range(count)]), pa.array(range(count), pa.int32()), vectors_to_column(NOISE[:count])], schema=SCHEMA)


def streamed(path):
    with TableWriter(path, SCHEMA, rows_per_group=100) as writer:
        for _ in range(20):
            writer.write(rows(100))


def detector(path):
    with atomic_path(path) as temporary:
        save_file({"weight": torch.from_numpy(NOISE)}, temporary)


WRITERS = {
    "table.parquet": lambda path: write_table(path, rows(2000), SCHEMA),
    "streamed.parquet": streamed,
    "facts.json": lambda path: write_json(path, {"numbers": NOISE[:400].tolist()}),
    "weights.safetensors": lambda path: write_weights(path, {"weight": NOISE}, {}),
    "detector.safetensors": detector,
    "checkpoint-0000000001.pt": lambda path: Checkpoints(path.parent, "training").save(1, {"weight": torch.from_numpy(NOISE)}),
}


@pytest.fixture
def colleagues_read():
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", WRITERS)
def test_the_umask_says_who_may_read_a_file(colleagues_read, tmp_path, name):
    WRITERS[name](tmp_path / name)
    assert stat.filemode((tmp_path / name).stat().st_mode) == "-rw-r-----"


@pytest.mark.parametrize("name", WRITERS)
def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_all_that_follows(tmp_path, monkeypatch, name):
    path, synced, original = tmp_path / name, [], os.fsync

    def fsync(descriptor):
        synced.append((os.fstat(descriptor).st_ino, path.exists()))
        original(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    WRITERS[name](path)
    assert synced == [(path.stat().st_ino, False), (tmp_path.stat().st_ino, True)]


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_may_not_grow(tmp_path, name):
    with small_files(64 << 10), pytest.raises(UserError, match=rf"{name}: cannot be written"):
        WRITERS[name](tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk(tmp_path, name):
    with small_disk(tmp_path / "disk", "size=64k") as disk:
        with pytest.raises(UserError, match=rf"{name}: cannot be written"):
            WRITERS[name](disk / name)
        assert list(disk.iterdir()) == []


def test_a_full_disk_keeps_the_earlier_table(tmp_path):
    with small_disk(tmp_path / "disk", "size=64k") as disk:
        write_table(disk / "a.parquet", rows(100), SCHEMA)
        before = (disk / "a.parquet").read_bytes()
        with pytest.raises(UserError, match="make room and run it again"):
            write_table(disk / "a.parquet", rows(2000), SCHEMA)
        assert (disk / "a.parquet").read_bytes() == before


@pytest.mark.parametrize("name", WRITERS)
def test_a_read_only_disk(tmp_path, name):
    with small_disk(tmp_path / "disk", "size=64k") as disk:
        remount_read_only(disk)
        with pytest.raises(UserError, match=rf"{name}: cannot be written: Read-only file system; make the folder writable"):
            WRITERS[name](disk / name)


def test_a_file_in_the_folders_place(tmp_path):
    (tmp_path / "folder").touch()
    with pytest.raises(UserError, match=r"a\.json: cannot be written"):
        write_json(tmp_path / "folder" / "a.json", {})


def test_a_stage_on_a_full_disk_tells_one_line(tmp_path, capsys):
    with small_disk(tmp_path / "disk", "size=100k") as disk:
        command = ["scenes", "--output", str(disk / "scenes"), "--train", "2", "--val", "1", "--size", "512"]
        assert cli.main(command) == 1
        assert [path for path in disk.rglob("*.tmp")] == []
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    assert len([line for line in shown.splitlines() if "ERROR" in line and "cannot be written: No space left on device" in line]) == 1


def test_errors_of_reading_are_not_the_outputs(tmp_path):
    def read_while_writing():
        with atomic_path(tmp_path / "a.json") as temporary:
            temporary.write_text((tmp_path / "absent.json").read_text())

    with pytest.raises(FileNotFoundError, match=r"absent\.json"):
        read_while_writing()
