"""Time and peak memory of a function, in a fresh process each, so that peaks do not mix."""

import ctypes
import multiprocessing
import platform
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Measurement:
    """What one call took.

    Attributes:
        value: what the function returned.
        seconds: wall time of the call, without start and imports of the process.
        megabytes: peak resident memory of the process, imports included.
        start_megabytes: peak before the call.
    """

    value: Any
    seconds: float
    megabytes: float
    start_megabytes: float


def measure(function: Callable[..., Any], *arguments: Any) -> Measurement:
    """Call a function of an importable module in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_timed, function, arguments).result()


def best(call: Callable[[], Any], device: str, repeats: int) -> float:
    """Seconds of the fastest of some calls, work on a card included."""
    import torch  # here, because it would weigh on the peaks of benchmarks that do without

    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def extra_memory(call: Callable[[], Any], device: str) -> float:
    """Megabytes by which a call raises the memory of this process, or of the card, at its peak."""
    import torch

    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    ctypes.CDLL(None).malloc_trim(0)  # what earlier calls freed would hide what this one takes
    Path("/proc/self/clear_refs").write_text("5")  # the peak is from now on
    start = _peak()
    call()
    return _peak() - start


def machine() -> str:
    """What the figures were taken on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())
    return f"{model}, {multiprocessing.cpu_count()} cores, Python {platform.python_version()}"


def _timed(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Measurement:
    before = _peak()
    start = time.perf_counter()
    value = function(*arguments)
    return Measurement(value, time.perf_counter() - start, _peak(), before)


def _peak() -> float:
    """Megabytes; from /proc because `ru_maxrss` starts at the size of the parent process."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
