"""A file that was cut off by hand is found before any job, told of, and made again; what follows from it does not run."""

import os
from collections import Counter

import pytest

pytestmark = [pytest.mark.workflow]

FILES = ["boxes/search/drawn/00-of-02.parquet", "backbone/file/backbone.safetensors"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_cut_off_is_made_again_equal(project, name):
    path = project.folder / "results/tiny" / name
    whole = path.read_bytes()
    os.truncate(path, len(whole) // 2)
    done = project.snakemake("-n")
    assert f"results/tiny/{name} is not as it was written" in done.stderr
    assert path.stat().st_size == len(whole) // 2
    done = project.snakemake(f"results/tiny/{name}")
    assert f"results/tiny/{name} is not as it was written; moved to {path.name}.damaged" in done.stderr
    assert "1 of 1 steps (100%) done" in done.stdout + done.stderr
    assert path.read_bytes() == whole
    assert path.with_name(f"{path.name}.damaged").stat().st_size == len(whole) // 2
    assert project.planned() == Counter()


def test_a_missing_submission_file_is_made_again_where_it_is_asked_for(project):
    """Nothing reads the folder, so that Snakemake makes it only as a target."""
    path = next((project.folder / "results/tiny/evaluate/mutdet-50/Task1").glob("Task1_*.txt"))
    whole = path.read_bytes()
    path.unlink()
    project.snakemake("results/tiny/evaluate/mutdet-50/Task1")
    assert path.read_bytes() == whole
    assert project.planned() == Counter()
