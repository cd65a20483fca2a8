"""Claims: of all processes that ever wrote an output, only the last one may still do so.

After a `kill -9` of Snakemake its jobs go on, on this host or on a node of a cluster, and could rename their file over that of a later
run long after. So a stage claims its outputs before it begins, in a hidden file beside each (`.<name>.claim`), and every rename
looks under a lock whether all its claims still stand. An orphan that has lost one ends with one line and writes nothing more: no
table, no JSON, no checkpoint. To end with the parent would not do: the parent is a shell that outlives Snakemake, and on a cluster no
process of the submitting host is a parent at all.

The later run wins, by the start of the run and not of the job: an orphan may reach its first line after its successor's last. On the
same host the successor also ends the orphan, which would else hold processors and the state of a training.

The claim of a stage that has finished holds what it wrote, for `mutdet.tables.damage`. It is no output of any rule, so that Snakemake
neither deletes it nor looks at it.
"""

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mutdet.settings.console import log
from mutdet.settings.environment import run_started
from mutdet.settings.errors import SupersededError, UserError
from mutdet.tables.claim_file import opened, recorded
from mutdet.tables.contents import contents_of
from mutdet.tables.leftovers import Leftovers
from mutdet.tables.processes import ProcessIdentity

GRACE_SECONDS = 30.0
"""Time that an orphan has to end by itself; a training saves its checkpoint then."""


class Claims:
    """Outputs that this process claims, and what it has written of them.

    Args:
        outputs: files, or folders of files; none claims nothing and lets everything be written.
        started: when the run began, in ns.
    """

    def __init__(self, outputs: Sequence[Path], started: int = 0) -> None:
        self._outputs = sorted({_absolute(path) for path in outputs})
        self._started = started
        self._holder = uuid.uuid4().hex
        self._process = ProcessIdentity.of(os.getpid()) if outputs else None
        self._written: list[Path] = []
        self._leftovers = Leftovers()

    def take(self) -> None:
        """Claim every output, ending processes of earlier runs that still hold one on this host.

        Raises:
            UserError: a later run has claimed an output, or its folder cannot be written.
        """
        record = {"holder": self._holder, "started": self._started, "process": self._process and asdict(self._process), "contents": None}
        for output in self._outputs:
            self._end_orphan(output)
            with opened(output) as file:
                self._refuse_if_later(output, file.read())
                file.write(record)

    def _end_orphan(self, output: Path) -> None:
        """Without the lock: a training that saves its checkpoint before it ends needs that, and a process may be stopped while it has it."""
        record = recorded(output)
        self._refuse_if_later(output, record)
        process = ProcessIdentity(**record["process"]) if record.get("process") else None
        if process and process != self._process and process.is_running():
            log.warning("%s: process %d of an earlier run still writes it and is ended", output, process.pid)
            process.end(GRACE_SECONDS)

    def _refuse_if_later(self, output: Path, record: dict[str, Any]) -> None:
        # A claim of the future is one of a clock that was wrong, and void.
        if self._started < record.get("started", 0) <= time.time_ns():
            raise SupersededError("a later run has claimed this output", file=output, remedy="if that run is over, run again")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else takes a claim while the block runs.

        Raises:
            UserError: somebody has taken one before.
        """
        with ExitStack() as stack:
            for output in self._outputs:
                if stack.enter_context(opened(output)).read().get("holder") != self._holder:
                    raise SupersededError("a later run writes this output, so this process writes nothing more", file=output)
            yield

    def tidy(self, path: Path) -> None:
        """Delete temporary files of `path` that killed processes have left."""
        if self._outputs:
            self._leftovers.delete(path)

    def note(self, path: Path) -> None:
        """Remember that `path` has been written."""
        if self._outputs:
            self._written.append(_absolute(path))

    def release(self, *, finished: bool) -> None:
        """Give the claims up, noting what was written if the stage has finished; one that was taken meanwhile stays as it is."""
        for output in self._outputs:
            files = [path for path in self._written if path.is_relative_to(output)]
            with opened(output) as file:
                record = file.read()
                if record.get("holder") == self._holder:
                    file.write({**record, "process": None, "contents": contents_of(output, files) if finished else None})


_NONE = Claims([])
_current = [_NONE]


def current_claims() -> Claims:
    """Claims of the stage that runs in this process; none where a function is called by itself."""
    return _current[-1]


@contextmanager
def claimed(outputs: Sequence[Path]) -> Iterator[None]:
    """Claim outputs while the block runs; every `atomic_path` in it then looks whether they are still claimed.

    Raises:
        UserError: a later run has claimed an output, or its folder cannot be written.
    """
    claims = Claims(outputs, run_started())
    claims.take()
    _current.append(claims)
    try:
        yield
    except BaseException:
        # What ended the stage is the thing to tell, not that its claim cannot be given up either.
        with suppress(UserError):
            claims.release(finished=False)
        raise
    finally:
        _current.remove(claims)
    claims.release(finished=True)


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))
