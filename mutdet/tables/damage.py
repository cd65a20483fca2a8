"""Finished outputs that somebody or something has changed since: cut off, overwritten, files missing from a folder.

Snakemake takes such a file for a newer one and reruns what follows from it. So before it looks, the workflow compares each output with
what its stage recorded in the claim beside it, and moves a damaged one aside; then Snakemake finds it missing and makes it again.
Nothing is deleted: what was a change on purpose is still there as `<name>.damaged`.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mutdet.settings.console import log
from mutdet.settings.errors import UserError
from mutdet.tables.claim_file import claimed_output, opened, recorded
from mutdet.tables.contents import contents_of, unchanged, untouched


def report_damaged(root: Path) -> list[Path]:
    """Tell of damaged outputs below a folder and leave them; outputs that are missing, being written or older than claims are none.

    Costs a small file to open for each output; an output is read only if its time stamp is not the recorded one.
    """
    damaged = [output for output in _touched(root) if not unchanged(output, _contents(output))]
    for output in damaged:
        log.warning("%s is not as it was written; a run will move it aside and make it again", output)
    return damaged


def set_damaged_aside(root: Path) -> list[Path]:
    """Move damaged outputs below a folder to `<name>.damaged`, in place of earlier ones; gives their former names.

    Of outputs that were only touched the new time stamps are recorded, so that they are not read again the next time.
    """
    return [output for output in _touched(root) if _set_aside_where_allowed(output)]


def _touched(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        for name in sorted(filter(None, map(claimed_output, names))):
            output = Path(folder, name)
            contents = _contents(output)
            if contents and not untouched(output, contents) and output.exists():
                yield output


def _contents(output: Path) -> dict[str, tuple[int, int, str]]:
    return recorded(output).get("contents") or {}


def _set_aside_where_allowed(output: Path) -> bool:
    """Whoever may only read the results can still plan a run."""
    try:
        return _set_aside(output)
    except UserError as error:
        log.warning("%s", error)
        return False


def _set_aside(output: Path) -> bool:
    """Look again under the lock: since the first look a stage may have begun to write the output anew."""
    with opened(output) as file:
        record = file.read()
        contents = record.get("contents") or {}
        if not output.exists() or not contents:
            return False
        if unchanged(output, contents):
            file.write({**record, "contents": contents_of(output, [output.parent / name for name in contents])})
            return False
        aside = output.with_name(f"{output.name}.damaged")
        if aside.is_dir():
            shutil.rmtree(aside)
        output.replace(aside)
        log.warning("%s is not as it was written; moved to %s, and made again where it is needed", output, aside.name)
        return True
