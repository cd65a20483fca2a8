"""Temporary files: their names, and what killed processes have left of them."""

import os
import re
import uuid
from collections import defaultdict
from pathlib import Path

_NAME = re.compile(r"\.(?P<final>.+)\.\d+\.[0-9a-f]{8}\.tmp")


def temporary_path(path: Path) -> Path:
    """Name beside `path`, unique to the process and the call."""
    return path.with_name(f".{path.name}.{os.getpid()}.{uuid.uuid4().hex[:8]}.tmp")


class Leftovers:
    """Temporary files that were there before this process wrote; each folder is listed once, however many files it receives."""

    def __init__(self) -> None:
        self._folders: dict[Path, dict[str, list[Path]]] = {}

    def delete(self, path: Path) -> None:
        """Delete those of `path`. To be called by the one process that may write it, since another's would be gone too."""
        if path.parent not in self._folders:
            self._folders[path.parent] = _listed(path.parent)
        for stale in self._folders[path.parent].pop(path.name, []):
            stale.unlink(missing_ok=True)


def _listed(folder: Path) -> dict[str, list[Path]]:
    found = defaultdict(list)
    with os.scandir(folder) as entries:
        for entry in entries:
            name = _NAME.fullmatch(entry.name)
            if name:
                found[name["final"]].append(Path(entry.path))
    return found
