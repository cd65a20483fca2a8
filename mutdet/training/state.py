"""State folder of a training: one process at a time, and the last checkpoint to resume from."""

import fcntl
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mutdet.settings.errors import UserError
from mutdet.tables.write import atomic_path

_REMEDY = "delete it to begin anew"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a state folder for this process; the lock falls with the process, however it ends.

    Raises:
        UserError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UserError("another process trains with this state", file=folder, remedy="wait for it or stop it") from error
        yield


class CheckpointFile:
    """The last checkpoint of a training in its state folder.

    Args:
        folder: state folder, locked by the caller.
        identity: what the training is: a checkpoint of another one is refused.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self.path = folder / "checkpoint.pt"
        self._identity = identity

    def save(self, content: Mapping[str, Any]) -> None:
        """Replace the checkpoint by tensors and plain values; a stop in between leaves the earlier one."""
        with atomic_path(self.path) as temporary:
            torch.save({**content, "identity": self._identity}, temporary)

    def load(self) -> dict[str, Any] | None:
        """The checkpoint on the CPU, or nothing where there is none yet.

        Raises:
            UserError: the file is damaged, or belongs to other settings or data.
        """
        if not self.path.exists():
            return None
        try:
            content: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError) as error:
            raise UserError("is no complete checkpoint", file=self.path, remedy=_REMEDY) from error
        if content.get("identity") != self._identity:
            raise UserError("belongs to a training with other settings or data", file=self.path, remedy=_REMEDY)
        return content
