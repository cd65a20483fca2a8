"""DOTA's text labels: `x1 y1 x2 y2 x3 y3 x4 y4 category difficulty`, one object a line."""

from pathlib import Path

from mutdet.data.label import Label, OnBadLabel, make_label
from mutdet.settings.errors import UserError

_HEADERS = ("imagesource:", "gsd:")
_REMEDY = "expected x1 y1 x2 y2 x3 y3 x4 y4 category [difficulty]"


def read_labels(path: Path, on_bad: OnBadLabel) -> list[Label]:
    """Labels of a file; a byte order mark, CRLF line ends, header lines and blank lines are accepted, a missing difficulty is 0.

    Raises:
        UserError: the file is no text, or whatever `on_bad` raises for a bad line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("is no readable text file", file=path, remedy="save the labels as UTF-8 text") from error
    labels: list[Label] = []
    label_id = 0
    for number, line in enumerate(lines, start=1):
        columns = line.split()
        if not columns or line.strip().lower().startswith(_HEADERS):
            continue
        try:
            labels.append(_parse(columns, label_id))
        except ValueError as error:
            on_bad(UserError(str(error), file=path, record=f"line {number}", remedy=_REMEDY))
        label_id += 1
    return labels


def _parse(columns: list[str], label_id: int) -> Label:
    if len(columns) not in (9, 10):
        raise ValueError(f"has {len(columns)} columns instead of 9 or 10")
    return make_label(label_id, columns[:8], columns[8], columns[9] if len(columns) == 10 else "0")
