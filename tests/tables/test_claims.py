"""Only the last process that claimed an output writes it."""

import errno
import fcntl
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from mutdet import cli
from mutdet.settings.errors import UserError
from mutdet.tables import claim_file
from mutdet.tables.atomic import atomic_path
from mutdet.tables.claim_file import opened, recorded
from mutdet.tables.claims import Claims, claimed
from mutdet.tables.processes import ProcessIdentity


@pytest.fixture
def output(tmp_path):
    return tmp_path / "boxes.parquet"


def write(path, text="rows"):
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def write_with_a_thief(path):
    """Another process takes the claim between the first write and the rename."""
    with claimed([path]), atomic_path(path) as temporary:
        temporary.write_text("older")
        Claims([path], time.time_ns()).take()


def test_who_lost_the_claim_writes_nothing(output):
    with pytest.raises(UserError, match="a later run writes this output, so this process writes nothing more"):
        write_with_a_thief(output)
    assert not output.exists()
    assert recorded(output)["contents"] is None


def test_who_lost_one_claim_writes_no_other_output_either(output):
    def steal_one_of_two():
        with claimed([output, output.with_name("log.parquet")]):
            Claims([output.with_name("log.parquet")], time.time_ns()).take()
            write(output)

    with pytest.raises(UserError, match=r"log\.parquet: a later run"):
        steal_one_of_two()
    assert not output.exists()


def test_leftovers_of_the_output_are_deleted_and_no_others(output):
    stale, other = output.with_name(f".{output.name}.123.0a1b2c3d.tmp"), output.with_name(".masks.parquet.123.0a1b2c3d.tmp")
    stale.touch()
    other.touch()
    with claimed([output]):
        write(output)
    assert not stale.exists()
    assert other.exists()


def test_without_a_claim_nothing_is_asked_and_nothing_left(output):
    write(output)
    assert [path.name for path in output.parent.iterdir()] == [output.name]


def test_a_stage_that_fails_records_nothing_and_lets_the_next_one_begin(output):
    def fail():
        with claimed([output]):
            write(output)
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert recorded(output)["contents"] is recorded(output)["process"] is None
    with claimed([output]):
        write(output)
    assert list(recorded(output)["contents"]) == [output.name]


def test_a_claim_that_a_killed_process_left_half_written_is_none(output):
    claim_file.claim_path(output).write_text('{"holder": "a')
    with claimed([output]):
        write(output)
    assert output.exists()


def test_a_file_system_without_locks_still_has_claims(output, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match="a later run"):
        write_with_a_thief(output)


def test_a_stopped_process_that_keeps_the_lock_is_told_of(output, monkeypatch):
    monkeypatch.setattr(claim_file, "PATIENCE_SECONDS", 0.05)
    with opened(output), pytest.raises(UserError, match="a process that does not go on holds this output's claim"), claimed([output]):
        pass


def test_the_second_process_of_a_training_leaves_the_first_one_its_claim(output, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert cli.main(["boxes", "--masks", str(output.with_name("absent.parquet")), "--output", str(output), "--settings", "{masks: x}"]) == 1
    assert list(output.parent.iterdir()) == []


def test_a_process_runs_until_it_has_ended():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    found = ProcessIdentity.of(child.pid)
    assert found.is_running()
    assert not replace(found, start="1").is_running()
    assert not replace(found, boot="another host").is_running()
    found.end(grace_seconds=10.0)
    assert not found.is_running()
    child.wait()
    assert not found.is_running()
