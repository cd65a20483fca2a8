"""State folders: lock and checkpoint."""

import errno
import fcntl
import os
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch

from mutdet.settings.errors import UserError
from mutdet.training.state import Checkpoints, locked

_TRY = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"


def _other_process_gets_it(folder) -> bool:
    return subprocess.run([sys.executable, "-c", _TRY, str(folder / "lock")], capture_output=True, check=False).returncode == 0


def test_one_process_holds_a_folder(tmp_path):
    folder = tmp_path / "state"
    with locked(folder):
        assert not _other_process_gets_it(folder)
        with pytest.raises(UserError, match="another process"), locked(folder):
            pass
    assert _other_process_gets_it(folder)


def test_a_lock_is_waited_for(tmp_path):
    held = "import fcntl, sys, time; file = open(sys.argv[1], 'w'); fcntl.flock(file, fcntl.LOCK_EX); print('held', flush=True); time.sleep(1)"
    with subprocess.Popen([sys.executable, "-c", held, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="another process"), locked(tmp_path):
            pass
        with locked(tmp_path, patience_seconds=30.0):
            pass


@pytest.mark.parametrize(("code", "goes_on"), [(errno.ENOLCK, True), (errno.ENOTSUP, True), (errno.EIO, False)])
def test_a_file_system_without_locks_still_trains(tmp_path, monkeypatch, code, goes_on):
    def refuse(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with nullcontext() if goes_on else pytest.raises(OSError, match=os.strerror(code)), locked(tmp_path):
        assert goes_on


def test_checkpoint_comes_back(tmp_path):
    checkpoints = Checkpoints(tmp_path, "me")
    assert checkpoints.load() is None
    checkpoints.save(1, {"model": {"a": torch.arange(3)}, "log": [(1, 0.5, "loss", 2.0)]})
    content = checkpoints.load()
    assert content["model"]["a"].tolist() == [0, 1, 2]
    assert content["log"] == [(1, 0.5, "loss", 2.0)]


def test_the_last_two_are_kept_and_the_newest_comes_back(tmp_path):
    checkpoints = Checkpoints(tmp_path, "me")
    for step in (8, 9, 10, 100):
        checkpoints.save(step, {"step": step})
    assert [file.name for file in checkpoints.files()] == ["checkpoint-0000000100.pt", "checkpoint-0000000010.pt"]
    assert checkpoints.load()["step"] == 100
    assert sorted(file.name for file in tmp_path.iterdir()) == ["checkpoint-0000000010.pt", "checkpoint-0000000100.pt"]


def test_checkpoint_of_another_training_is_refused(tmp_path):
    Checkpoints(tmp_path, "me").save(1, {"step": 1})
    with pytest.raises(UserError, match="other settings or data"):
        Checkpoints(tmp_path, "you").load()


def _cut(content, share):
    return content[: int(len(content) * share)]


def _flipped(content, share):
    place = int(len(content) * share)
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("damage", [_cut, _flipped])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_damaged_checkpoint_gives_way_to_the_one_before_it(tmp_path, damage, share):
    checkpoints = Checkpoints(tmp_path, "me")
    for step in (1, 2):
        checkpoints.save(step, {"step": step, "model": {"a": torch.rand(1000)}})
    newest, oldest = checkpoints.files()
    newest.write_bytes(damage(newest.read_bytes(), share))
    assert checkpoints.load()["step"] == 1
    oldest.write_bytes(damage(oldest.read_bytes(), share))
    with pytest.raises(UserError, match="no complete checkpoint"):
        checkpoints.load()
