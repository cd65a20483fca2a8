"""The one exception that users are meant to read."""

from pathlib import Path


class UserError(Exception):
    """Bad input or settings, told in one line: what is wrong, where, and what to do.

    The command line prints the message without a traceback and exits with code 1.
    """

    def __init__(self, what: str, *, file: Path | str | None = None, record: object = None, remedy: str = "") -> None:
        where = "".join([f"{file}: " if file is not None else "", f"{record}: " if record is not None else ""])
        super().__init__(" ".join(f"{where}{what}{'; ' + remedy if remedy else ''}".split()))


class SupersededError(UserError):
    """A later run has claimed an output, so that this process must not write it."""
