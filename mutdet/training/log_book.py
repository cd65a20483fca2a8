"""Log of a training: averages over a number of steps, kept through a stop, written as a table at the end."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mutdet.tables.log import SCHEMA
from mutdet.tables.write import write_table

Row = tuple[int, float, str, float]


class LogBook:
    """Collects values and averages each over `every` steps; a last, shorter stretch is averaged too."""

    def __init__(self, every: int) -> None:
        self._every = every
        self.rows: list[Row] = []
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)

    def add(self, step: int, epoch: float, values: Mapping[str, float], *, last: bool = False) -> dict[str, float]:
        """Take the values of one step in; gives the averages where a stretch ends, else nothing."""
        for name, value in values.items():
            self._sums[name] += value
            self._counts[name] += 1
        if step % self._every and not last:
            return {}
        means = {name: self._sums[name] / self._counts[name] for name in sorted(self._sums)}
        self.rows += [(step, epoch, name, value) for name, value in means.items()]
        self._sums.clear()
        self._counts.clear()
        return means

    def state_dict(self) -> dict[str, Any]:
        """State to go on from, of plain types."""
        return {"rows": self.rows, "sums": dict(self._sums), "counts": dict(self._counts)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.rows = [tuple(row) for row in state["rows"]]
        self._sums = defaultdict(float, state["sums"])
        self._counts = defaultdict(int, state["counts"])

    def write(self, path: Path) -> None:
        """Write the log table, sorted by (step, name)."""
        names = ("step", "epoch", "name", "value")
        write_table(path, [dict(zip(names, row, strict=True)) for row in sorted(self.rows)], SCHEMA)
