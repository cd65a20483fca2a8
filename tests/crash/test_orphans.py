"""A stage whose run was killed goes on alone; what it writes must not replace what its successor writes."""

import time

import pytest

from mutdet.training.stopping import EXIT_CODE

ELSEWHERE = "another-host"


@pytest.fixture
def folder(finished, tmp_path):
    return finished.copy(tmp_path / "project")


def with_other_settings(job, *flags):
    """The successor's command; flags win over the settings."""
    return [*job.command, *flags]


def contents(folder, job):
    return {path: (folder / path).read_bytes() for path in job.written if path.exists() or (folder / path).exists()}


@pytest.mark.parametrize(
    ("stage", "flags"),
    [
        ("boxes", ["--min-side", "9"]),
        ("codebook", ["--clusters", "2"]),
        ("evaluate", ["--recall-boxes", "3"]),
        ("scenes", ["--size", "64"]),
        ("tables", ["--baseline", "mutdet"]),
    ],
)
@pytest.mark.parametrize("point", [("written", 1), ("synced", 1), ("written", 2), ("synced", 2)])
def test_an_orphan_replaces_none_of_its_successors_files(server, finished, folder, stage, flags, point):
    job = finished.job(stage)
    orphan = server.start(job.command, folder, stop=point, host=ELSEWHERE)
    assert orphan.wait() == "stopped"
    server.run(with_other_settings(job, *flags), folder)
    expected = contents(folder, job)
    orphan.go_on()
    assert orphan.wait() == 1
    assert contents(folder, job) == expected
    check_told(orphan, "a later run writes this output")
    assert list((folder / "results").rglob(".*.tmp")) == []


def check_told(child, expected):
    lines = child.log.read_text().splitlines()
    assert [line for line in lines if "ERROR" in line and expected in line]
    assert not any("Traceback" in line for line in lines)


def test_an_orphan_that_begins_after_its_successor_has_ended_writes_nothing(server, finished, folder):
    job = finished.job("boxes")
    earlier = time.time_ns()
    server.run(with_other_settings(job, "--min-side", "9"), folder)
    expected = contents(folder, job)
    orphan = server.start(job.command, folder, run_started=earlier)
    assert orphan.wait() == 1
    assert contents(folder, job) == expected
    check_told(orphan, "a later run has claimed this output")


def test_a_claim_of_a_clock_that_was_wrong_is_void(server, finished, folder):
    job = finished.job("boxes")
    tomorrow = time.time_ns() + 86400 * 10**9
    assert server.start(job.command, folder, run_started=tomorrow).wait() == 0
    server.run(job.command, folder)


def test_a_successor_on_the_same_host_ends_the_orphan(server, finished, folder):
    job = finished.job("masks")
    orphan = server.start(job.command, folder)
    until_claimed(folder, job)
    successor = server.start(job.command, folder)
    assert successor.wait() == 0
    assert orphan.wait() == "killed"
    assert f"process {orphan.number} of an earlier run" in successor.log.read_text()


@pytest.mark.parametrize("point", ["synced", "moving"])
def test_a_stopped_orphan_is_ended_too(server, finished, folder, point):
    job = finished.job("boxes")
    orphan = server.start(job.command, folder, stop=(point, 1))
    assert orphan.wait() == "stopped"
    server.run(job.command, folder)
    assert orphan.wait() == "killed"


def test_a_training_goes_on_from_its_orphans_checkpoint(server, finished, folder):
    """The orphan holds the state's lock; without its end the successor would fail."""
    job = finished.job("pretrain")
    orphan = server.start(job.command, folder, stop=("named", 2))
    assert orphan.wait() == "stopped"
    assert "goes on at step" in server.run(job.command, folder)
    assert orphan.wait() == EXIT_CODE
    weights = [path for path in job.written if path.suffix == ".safetensors"]
    assert [(folder / path).read_bytes() for path in weights] == [(finished.folder / path).read_bytes() for path in weights]


def until_claimed(folder, job):
    claim = folder / job.written[0].with_name(f".{job.written[0].name}.claim")
    while not (claim.exists() and claim.read_bytes()):
        time.sleep(0.001)
