"""Progress on a terminal, plain log lines everywhere else."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
log = logging.getLogger("mutdet")


def configure_logging() -> None:
    """Send log lines to standard error, which the workflow redirects to the rule's log file."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr, force=True)


def progress(items: Iterable[Item], description: str, total: int | None = None, seconds: float = 30.0) -> Iterator[Item]:
    """Pass items on, showing a bar on a terminal and a log line every `seconds` otherwise."""
    total = len(items) if total is None and isinstance(items, Sized) else total
    if sys.stderr.isatty():
        yield from tqdm(items, desc=description, total=total)
        return
    start = last = time.monotonic()
    count = 0
    for item in items:
        yield item
        count += 1
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            log.info("%s: %d of %s", description, count, total if total is not None else "?")
    log.info("%s: %d in %.1f s", description, count, time.monotonic() - start)
