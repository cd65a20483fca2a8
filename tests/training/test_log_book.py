"""Log of a training."""

import pyarrow.parquet as pq

from mutdet.training.log_book import LogBook


def _fill(book: LogBook, first: int, end: int) -> LogBook:
    for step in range(first, end + 1):
        book.add(step, step / 4, {"loss": float(step), **({"rare": 10.0} if step == 2 else {})}, last=step == 7)
    return book


def test_values_are_averaged_over_their_own_steps(tmp_path):
    _fill(LogBook(3), 1, 7).write(tmp_path / "log.parquet")
    rows = [tuple(row.values()) for row in pq.read_table(tmp_path / "log.parquet").to_pylist()]
    assert rows == [(3, 0.75, "loss", 2.0), (3, 0.75, "rare", 10.0), (6, 1.5, "loss", 5.0), (7, 1.75, "loss", 7.0)]


def test_log_goes_on_from_a_state():
    resumed = LogBook(3)
    resumed.load_state_dict(_fill(LogBook(3), 1, 4).state_dict())
    assert _fill(resumed, 5, 7).rows == _fill(LogBook(3), 1, 7).rows
