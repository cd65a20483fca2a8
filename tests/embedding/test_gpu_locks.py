"""Which process gets which GPU. No GPU is needed: names stand for them."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mutdet.embedding import devices, gpu_locks
from mutdet.settings.base import Runtime
from mutdet.settings.errors import UserError

TAKE = """
import sys, time
from pathlib import Path
from mutdet.embedding.gpu_locks import take_gpu
from mutdet.settings.console import configure_logging
configure_logging()
print(take_gpu(sys.argv[2].split(","), Path(sys.argv[1]), poll_seconds=0.02), flush=True)
start = time.time()
time.sleep(float(sys.argv[3]))
print(start, time.time(), flush=True)
"""


class Takers:
    """Processes that each take a GPU and hold it for some seconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []

    def start(self, names: str, seconds: float) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", TAKE, str(self.folder), names, str(seconds)]
        self.running.append(subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return self.running[-1]


@pytest.fixture
def takers(tmp_path) -> Iterator[Takers]:
    made = Takers(tmp_path)
    yield made
    for process in made.running:
        process.kill()
        process.communicate()


def place(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def test_four_processes_get_four_gpus(takers):
    started = [takers.start("a,b,c,d", 60) for _ in range(4)]
    assert sorted(place(process) for process in started) == [0, 1, 2, 3]


def test_eight_processes_on_four_gpus_never_share_one(takers):
    started = [takers.start("a,b,c,d", 0.3) for _ in range(8)]
    held: dict[str, list[list[float]]] = {}
    for process in started:
        number, times = process.communicate(timeout=60)[0].splitlines()
        held.setdefault(number, []).append([float(moment) for moment in times.split()])
    assert sum(map(len, held.values())) == 8
    for spans in held.values():
        spans.sort()
        assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(spans))


def test_a_process_that_waits_says_for_whom(takers):
    holder = takers.start("a", 1)
    place(holder)
    told = takers.start("a", 0).communicate(timeout=60)[1]
    assert told.count("\n") == 1
    assert f"every GPU is taken (process {holder.pid}); waiting for one" in told


def test_a_killed_process_frees_its_gpu(takers):
    holder = takers.start("a", 60)
    place(holder)
    os.kill(holder.pid, signal.SIGKILL)
    assert place(takers.start("a", 0)) == 0


def test_only_visible_gpus_count(takers):
    assert place(takers.start("a", 60)) == 0
    assert place(takers.start("b", 60)) == 0
    assert place(takers.start("a,b,c", 60)) == 2


def test_the_folder_is_this_users_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_locks.tempfile, "gettempdir", lambda: str(tmp_path))
    folder = gpu_locks.lock_folder()
    assert folder == gpu_locks.lock_folder()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_is_a_link_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_locks.tempfile, "gettempdir", lambda: str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"mutdet-gpus-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="does not belong to you"):
        gpu_locks.lock_folder()


@pytest.fixture
def two_gpus(tmp_path, monkeypatch) -> Iterator[list[int]]:
    """PyTorch as on a machine with two GPUs; gives the list of those that were chosen."""
    chosen: list[int] = []
    monkeypatch.setattr(gpu_locks.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: type("Properties", (), {"uuid": f"uuid-{number}"}))
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: chosen.append(device.index))
    devices._own_gpu.cache_clear()
    yield chosen
    devices._own_gpu.cache_clear()


def test_a_stage_takes_a_free_gpu_and_keeps_it(two_gpus, tmp_path, takers):
    takers.folder = gpu_locks.lock_folder()
    assert place(takers.start("uuid-0", 60)) == 0
    assert devices.prepare_device(Runtime(device="auto")) == torch.device("cuda", 1)
    assert devices.prepare_device(Runtime(device="cuda")) == torch.device("cuda", 1)
    assert two_gpus == [1, 1]


def test_the_cpu_needs_no_lock(two_gpus):
    assert devices.prepare_device(Runtime(device="cpu")) == torch.device("cpu")
    assert list(gpu_locks.lock_folder().iterdir()) == []


def test_parts_of_a_gpu_go_by_the_names_of_the_environment(two_gpus, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-1,MIG-2")
    assert devices._gpu_names() == ["MIG-1", "MIG-2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,0")
    assert devices._gpu_names() == ["uuid-0", "uuid-1"]
