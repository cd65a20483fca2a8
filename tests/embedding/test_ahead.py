"""Work on a stream in threads."""

import os
import time

import pytest

from mutdet.embedding.ahead import mapped_ahead, threads


@pytest.mark.parametrize("workers", [1, 3])
def test_results_keep_the_order_of_the_items(workers: int) -> None:
    def slowest_first(item: int) -> int:
        time.sleep((10 - item) / 1000)
        return item * item

    assert list(mapped_ahead(slowest_first, range(10), workers)) == [item * item for item in range(10)]


def test_reads_only_a_few_items_ahead() -> None:
    read: list[int] = []

    def items():
        for item in range(100):
            read.append(item)
            yield item

    results = mapped_ahead(str, items(), 2)
    assert next(results) == "0"
    assert len(read) == 3
    results.close()


def test_an_error_is_raised_where_its_result_would_be() -> None:
    results = mapped_ahead(lambda item: 1 // item, [1, 0, 1], 2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


@pytest.mark.parametrize(("allotted", "expected"), [("3", 3), ("", None), ("0", None), ("many", None)])
def test_threads_are_those_allotted_or_the_cores(allotted: str, expected: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", allotted)
    assert threads() == (expected or len(os.sched_getaffinity(0)))
