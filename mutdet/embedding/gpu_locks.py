"""One GPU for one process: locked files tell the processes of a machine which GPUs are taken."""

import fcntl
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from mutdet.settings.console import log
from mutdet.settings.errors import UserError

POLL_SECONDS = 2.0


def lock_folder() -> Path:
    """This user's folder of lock files on this machine, made where it is missing.

    Raises:
        UserError: another user made something of that name.
    """
    folder = Path(tempfile.gettempdir()) / f"mutdet-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise UserError("does not belong to you", file=folder, remedy="remove it, or set TMPDIR to a folder of your own on this machine")
    return folder


def take_gpu(names: Sequence[str], folder: Path, poll_seconds: float = POLL_SECONDS) -> int:
    """Lock a free GPU until this process ends, however it ends; where all are taken, wait.

    A process that waits computes what it would have computed at once. Going on without a GPU, or sharing one, would not: results would differ in
    the last bits, or memory would run out.

    Args:
        names: a name for each GPU that this process may use, the same in every process of the machine.
        folder: where the lock files lie, on a disk of this machine.
        poll_seconds: time between two looks at all GPUs.

    Returns:
        Place of the GPU in `names`.
    """
    told = False
    while True:
        for place, name in enumerate(names):
            if _lock(folder / f"{name}.lock"):
                return place
        if not told:
            log.info("every GPU is taken (%s); waiting for one", ", ".join(_holder(folder / f"{name}.lock") for name in names))
            told = True
        time.sleep(poll_seconds)


def _lock(path: Path) -> bool:
    """Whether the file could be locked; it stays open, because the system drops a lock when its file is closed."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return False
    os.ftruncate(file, 0)
    os.pwrite(file, str(os.getpid()).encode(), 0)
    return True


def _holder(path: Path) -> str:
    return f"process {path.read_text() or '?'}"
