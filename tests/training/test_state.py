"""State folders: lock and checkpoint."""

import subprocess
import sys

import pytest
import torch

from mutdet.settings.errors import UserError
from mutdet.training.state import CheckpointFile, locked

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


def test_checkpoint_comes_back(tmp_path):
    file = CheckpointFile(tmp_path, "me")
    assert file.load() is None
    file.save({"model": {"a": torch.arange(3)}, "log": [(1, 0.5, "loss", 2.0)]})
    content = file.load()
    assert content["model"]["a"].tolist() == [0, 1, 2]
    assert content["log"] == [(1, 0.5, "loss", 2.0)]


def test_checkpoint_of_another_training_is_refused(tmp_path):
    CheckpointFile(tmp_path, "me").save({"step": 1})
    with pytest.raises(UserError, match="other settings or data"):
        CheckpointFile(tmp_path, "you").load()


@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_damaged_checkpoint_is_told(tmp_path, share):
    file = CheckpointFile(tmp_path, "me")
    file.save({"model": {"a": torch.rand(1000)}})
    content = file.path.read_bytes()
    file.path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match="no complete checkpoint"):
        file.load()
