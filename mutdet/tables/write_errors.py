"""Full disks and read-only folders, told in one line."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mutdet.settings.errors import UserError

_ONLY_BY_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_REFUSED = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EISDIR)
_CODE = re.compile(r"\(os error (\d+)\)")
_TORCH = re.compile(r"inline_container|PytorchStreamWriter|iostream error")
"""What torch says when it cannot go on writing; it tells no reason."""


@contextmanager
def write_errors_of(path: Path, *names: Path) -> Iterator[None]:
    """Turn errors of writing into one that a user can read; errors of reading inside the block pass through as they are.

    Args:
        path: file that is being written.
        names: other names that the file has meanwhile.

    Raises:
        UserError: the disk is full, the folder is read-only, or the file cannot be made for some other reason.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = _number(error)
        named = any(str(name) in str(error) for name in (path, *names, path.parent))
        if number in _ONLY_BY_WRITING or (number in _REFUSED and named):
            raise UserError(f"cannot be written: {os.strerror(number)}", file=path, remedy=_remedy(number)) from error
        if _TORCH.search(str(error)):
            raise UserError("cannot be written, the disk may be full", file=path, remedy=_remedy(errno.ENOSPC)) from error
        raise


def _number(error: Exception) -> int:
    """Number of the system's error; 0 where it is none. Safetensors tells it in its text alone."""
    if isinstance(error, OSError):
        return error.errno or 0
    found = _CODE.search(str(error))
    return int(found.group(1)) if found else 0


def _remedy(number: int) -> str:
    full = number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return "make room and run it again" if full else "make the folder writable, or name another one"
