"""`kill -9` of a stage at any time: nothing partial under a final name, and the next run ends as if nothing had been."""

import random
import time

import pytest
import torch

STAGES = [
    *("scenes", "partition index", "partition tiles", "masks", "boxes", "backbone", "embed", "codebook", "pseudo_labels"),
    *("pretrain", "finetune", "detect tiles", "detect merge", "evaluate", "tables", "report tiles", "report page"),
]


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_is_made_again_equal(server, finished, tmp_path, stage):
    kill_and_rerun(server, finished, stage, tmp_path, kills=2)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_killed_at_fifty_points(server, finished, tmp_path, stage):
    kill_and_rerun(server, finished, stage, tmp_path, kills=50)


def kill_and_rerun(server, finished, stage, tmp_path, kills):
    """Half of the kills between the first write and the last rename, half at random times."""
    folder, job = finished.copy(tmp_path / "project"), finished.job(stage)
    generator = random.Random(stage)
    seconds = 1.0
    for number in range(kills):
        forget(folder, job)
        if number % 2:
            kill_at_a_time(server, folder, job, generator.uniform(0.0, seconds))
        else:
            kill_at_a_point(server, folder, job, generator)
        check_nothing_partial(folder, finished)
        began = time.monotonic()
        server.run(job.command, folder)
        seconds = time.monotonic() - began
        check_complete(folder, finished, job)


def forget(folder, job):
    """Delete what the job makes, as Snakemake does before it runs one, and the state of a training."""
    for path in job.written:
        (folder / path).unlink(missing_ok=True)


def kill_at_a_point(server, folder, job, generator):
    point = (generator.choice(["written", "synced", "moving", "named"]), generator.randint(1, len(job.written)))
    child = server.start(job.command, folder, stop=point)
    assert child.wait() == "stopped", child.log.read_text()
    assert child.kill() == "killed"


def kill_at_a_time(server, folder, job, seconds):
    child = server.start(job.command, folder)
    time.sleep(seconds)
    assert child.kill() in ("killed", 0)


def check_nothing_partial(folder, finished):
    for path in visible(folder):
        if path.match("checkpoint-*.pt"):
            assert torch.load(folder / path, weights_only=True)
        elif "state" not in path.parts:
            assert equal(folder / path, finished.folder / path), path


def equal(path, expected):
    """What no stage has written anew is the same file in both runs."""
    return path.samefile(expected) or path.read_bytes() == expected.read_bytes()


def check_complete(folder, finished, job):
    for path in set(job.written):
        if "state" not in path.parts:
            assert equal(folder / path, finished.folder / path), path
        elif (finished.folder / path).exists():  # the last two checkpoints are kept
            assert (folder / path).exists(), path
    places = {(folder / path).parent for path in job.written}
    assert [path for place in places for path in place.glob(".*.tmp")] == []


def visible(folder):
    return [path.relative_to(folder) for path in (folder / "results").rglob("*") if path.is_file() and not path.name.startswith(".")]
