"""Work on a stream in threads, in its order and with bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def threads() -> int:
    """Threads that this process may use: what Snakemake or the user allots by OMP_NUM_THREADS, else the cores it may run on."""
    allotted = os.environ.get("OMP_NUM_THREADS", "")
    return int(allotted) if allotted.isdigit() and int(allotted) else len(os.sched_getaffinity(0))


def mapped_ahead(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Results of a function, in the order of the items; at most `workers` + 1 items are read beyond the one whose result is asked for."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
