"""What happens to images and labels that cannot be used."""

from typing import Literal

from mutdet.settings.console import log
from mutdet.settings.errors import UserError


class BadInput:
    """Stops at the first bad image or label, or collects them all.

    Args:
        on_error: `stop` raises what is reported; `skip` logs and keeps it.
    """

    def __init__(self, on_error: Literal["stop", "skip"]) -> None:
        self._stop = on_error == "stop"
        self.images: list[str] = []
        self.labels: list[str] = []

    def image(self, error: UserError) -> None:
        """Report an image, or its label file as a whole, that cannot be used."""
        self._report(error, self.images)

    def label(self, error: UserError) -> None:
        """Report a single label that cannot be used."""
        self._report(error, self.labels)

    def _report(self, error: UserError, kept: list[str]) -> None:
        if self._stop:
            raise error
        log.warning("skipped: %s", error)
        kept.append(str(error))
