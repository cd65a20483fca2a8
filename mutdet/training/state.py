"""State folder of a training: one process at a time, and the last checkpoints to resume from."""

import hashlib
import pickle
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from mutdet.settings.console import log
from mutdet.settings.errors import UserError
from mutdet.tables.atomic import atomic_path
from mutdet.tables.file_locks import try_lock

_REMEDY = "delete it to begin anew"
_KEPT = 2
_POLL_SECONDS = 0.5
_DIGEST = hashlib.sha256().digest_size


@contextmanager
def locked(folder: Path, patience_seconds: float = 0.0) -> Iterator[None]:
    """Hold a state folder for this process; the lock falls with the process, however it ends.

    Args:
        folder: state folder.
        patience_seconds: time to wait for a process that holds it, as one of a run that was killed does on another machine until its next checkpoint.

    Raises:
        UserError: another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    until, told = time.monotonic() + patience_seconds, False
    with (folder / "lock").open("w") as file:
        while not try_lock(file):
            if time.monotonic() >= until:
                raise UserError("another process trains with this state", file=folder, remedy="wait for it or stop it")
            if not told:
                log.info("%s: another process trains with this state; waiting at most %.0f s", folder, patience_seconds)
                told = True
            time.sleep(_POLL_SECONDS)
        yield


class Checkpoints:
    """The last two checkpoints of a training in its state folder: should the newest be damaged, the one before it serves.

    Args:
        folder: state folder, locked by the caller.
        identity: what the training is: a checkpoint of another one is refused.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder, self._identity = folder, identity

    def files(self) -> list[Path]:
        """Checkpoints that are there, newest first."""
        return sorted(self._folder.glob("checkpoint-*.pt"), reverse=True)

    def save(self, step: int, content: Mapping[str, Any]) -> None:
        """Write tensors and plain values, a digest of the bytes after them; then drop all but the last two. A stop in between leaves the earlier ones."""
        with atomic_path(self._folder / f"checkpoint-{step:010d}.pt") as temporary:
            torch.save({**content, "identity": self._identity}, temporary)
            with temporary.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
            with temporary.open("ab") as file:
                file.write(digest)
        for old in self.files()[_KEPT:]:
            old.unlink()

    def load(self) -> dict[str, Any] | None:
        """The newest whole checkpoint on the CPU, or nothing where there is none yet.

        Raises:
            UserError: all files are damaged, or one belongs to other settings or data.
        """
        files = self.files()
        for file in files:
            content = _read(file)
            if content is None:
                log.warning("%s: is no complete checkpoint; the one before it is tried", file)
            elif content.get("identity") != self._identity:
                raise UserError("belongs to a training with other settings or data", file=file, remedy=_REMEDY)
            else:
                return content
        if files:
            raise UserError("is no complete checkpoint, and there is no other", file=files[0], remedy=_REMEDY)
        return None


def _read(path: Path) -> dict[str, Any] | None:
    """Content of a checkpoint, nothing where the bytes are not those that were written."""
    try:
        with path.open("rb") as file:
            length = path.stat().st_size - _DIGEST
            if length <= 0 or _digest(file, length) != file.read(_DIGEST):
                return None
            file.seek(0)
            content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
            return content
    except (RuntimeError, EOFError, OSError, ValueError, pickle.UnpicklingError):
        return None


def _digest(file: Any, length: int) -> bytes:
    """SHA-256 of the next `length` bytes."""
    digest = hashlib.sha256()
    while length:
        part = file.read(min(length, 1 << 20))
        digest.update(part)
        length -= len(part)
    return digest.digest()
