"""Files that appear under their name whole or not at all, and only while their stage is the last that claimed them."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mutdet.tables.claims import current_claims
from mutdet.tables.leftovers import temporary_path
from mutdet.tables.write_errors import write_errors_of


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Temporary, empty file beside `path`, moved to `path` if the block ends well; after a power cut too the file is the old or the new one.

    Whoever may read a new file of this folder may read it, however the block writes it.

    Inside `mutdet.tables.claims.claimed` the file is moved only if no later run has claimed an output of this stage.

    Raises:
        UserError: the disk is full, the folder is read-only, or a later run writes the same.
    """
    temporary = temporary_path(path)
    claims = current_claims()
    with write_errors_of(path, temporary):
        path.parent.mkdir(parents=True, exist_ok=True)
        claims.tidy(path)
        try:
            # The umask itself can be read only by changing it for all threads, and a folder may have rules of its own.
            temporary.touch()
            mode = _mode(temporary)
            yield temporary
            # Safetensors puts a file of its own there that only its owner may read; some file systems refuse to be told a mode.
            if _mode(temporary) != mode:
                temporary.chmod(mode)
            sync_file(temporary)
            with claims.held():
                move(temporary, path)
            claims.note(path)
        except FileNotFoundError:
            # Deleted by a successor, which tidies up: then the claim tells so.
            with claims.held():
                raise
        finally:
            temporary.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """Who may do what with a file."""
    return stat.S_IMODE(path.stat().st_mode)


def sync_file(path: Path) -> None:
    """Have the file's bytes on the disk before its name tells that they are."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def move(temporary: Path, path: Path) -> None:
    """Give the file its name, and have the folder on the disk."""
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError as error:
        # Some network file systems cannot sync a folder; they do it by themselves.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(folder)
