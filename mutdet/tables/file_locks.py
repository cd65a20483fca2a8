"""Locks on open files; the system drops a lock with the process that holds it, however it ends."""

import errno
import fcntl
from typing import IO, Any

_NO_LOCKS = (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)
"""What a file system answers that has no locks."""


def try_lock(file: IO[Any]) -> bool:
    """Whether no other process held the lock, which this one then has; also where the file system has no locks, as some network file systems."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True
