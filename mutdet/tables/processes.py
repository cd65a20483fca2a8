"""Who a process is, so that a later one can find out whether it still runs."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_PROC = Path("/proc")
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class ProcessIdentity:
    """A process of some host; numbers of processes are used again, so their start counts too.

    Attributes:
        boot: of the host's kernel; differs between hosts and after a restart.
        namespace: of process numbers; differs between containers of one host.
        pid: number in that namespace.
        start: in ticks since the boot.
    """

    boot: str
    namespace: str
    pid: int
    start: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """A process of this host; without /proc (macOS) one that nobody ever finds running."""
        boot, namespace = _host()
        return cls(boot, namespace, pid, _state_and_start(pid)[1])

    def is_running(self) -> bool:
        """Whether it is known to run: on this host, not ended. False of processes of other hosts."""
        if (self.boot, self.namespace) != _host() or not self.boot:
            return False
        state, start = _state_and_start(self.pid)
        return start == self.start and state not in ("", "Z", "X")

    def end(self, grace_seconds: float) -> None:
        """Ask it to end, also if it is stopped, and after some time make it end; one of another user goes on."""
        for number, patience in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, grace_seconds)):
            try:
                os.kill(self.pid, number)
                os.kill(self.pid, signal.SIGCONT)
            except (ProcessLookupError, PermissionError):
                return
            until = time.monotonic() + patience
            while self.is_running() and time.monotonic() < until:
                time.sleep(_POLL_SECONDS)
            if not self.is_running():
                return


def _host() -> tuple[str, str]:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip(), os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return "", ""


def _state_and_start(pid: int) -> tuple[str, str]:
    """State letter and start of a process, empty where there is none."""
    try:
        # The command's name, in brackets, may hold blanks.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", ""
    return fields[0], fields[19]
