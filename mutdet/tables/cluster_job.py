"""The cluster job that a stage runs in."""

import os
import signal
from itertools import pairwise
from pathlib import Path


def end_own_job() -> None:
    """End the Snakemakes of the SLURM job that this process runs in, if another Snakemake submitted it; do nothing in any other place.

    For a stage whose output a later run has claimed: they would take the end of the stage for a failure and delete the declared outputs,
    which are the later run's by now. Within an allocation of the user's own no Snakemake runs for another one.
    """
    job = os.environ.get("SLURM_JOB_ID")
    if job is None:
        return
    # Numbers grow: the outermost comes first, so that none is left that sees another one end.
    for process in sorted(int(folder.name) for folder in Path("/proc").glob("[0-9]*")):
        if _runs_a_job_of(process, job):
            os.kill(process, signal.SIGKILL)


def _runs_a_job_of(process: int, job: str) -> bool:
    """Whether a process is a Snakemake of this SLURM job that was started to run one job of another Snakemake."""
    folder = Path("/proc", str(process))
    try:
        words, variables = ((folder / name).read_bytes().split(b"\0") for name in ("cmdline", "environ"))
    except OSError:
        return False
    return (b"--mode", b"remote") in pairwise(words) and f"SLURM_JOB_ID={job}".encode() in variables
