"""Several processes train as one would."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from drawn_tables import draw_tables
from safetensors.torch import load_file
from train_together import SMALL

from mutdet.settings.base import Runtime
from mutdet.settings.errors import UserError
from mutdet.settings.training import TrainingSettings
from mutdet.training.processes import training_device

SCRIPT = Path(__file__).parents[1] / "support" / "train_together.py"


def train(output: Path, tables: list[Path], processes: int) -> dict[str, dict[str, torch.Tensor]]:
    """Weights and logs of every method."""
    output.mkdir()
    command = [sys.executable, str(SCRIPT), str(output), str(processes), *map(str, tables)]
    started = [subprocess.Popen(command, env={**os.environ, **variables}, stderr=subprocess.PIPE, text=True) for variables in environments(processes)]
    for process in started:
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0, errors
    return {name: load_file(output / f"{name}.safetensors") for name in ["none", *SMALL]}


def environments(processes: int) -> list[dict[str, str]]:
    """What torchrun tells each process."""
    if processes == 1:
        return [{}]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {"WORLD_SIZE": str(processes), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
    return [{**common, "RANK": str(number)} for number in range(processes)]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    tables = draw_tables(folder / "drawn", 8).tiles
    return {processes: train(folder / str(processes), tables, processes) for processes in (1, 2)}


@pytest.mark.parametrize("name", ["none", *SMALL])
def test_two_processes_of_two_tiles_give_the_weights_of_one_of_four(results, name):
    alone, together = results[1][name], results[2][name]
    assert alone.keys() == together.keys()
    for key, value in alone.items():
        torch.testing.assert_close(together[key], value, atol=1e-5, rtol=1e-5, msg=lambda text, key=key: f"{key}: {text}")


def test_the_number_of_processes_must_be_the_settings():
    with pytest.raises(UserError, match="ask for 2 processes, but 1 were started; start with torchrun"), training_device(Runtime(device="cpu"), 2):
        pass


@pytest.mark.parametrize(("batch", "processes", "accumulate"), [(4, 3, 1), (4, 2, 4), (6, 1, 4)])
def test_a_batch_must_divide(batch, processes, accumulate):
    with pytest.raises(ValueError, match="must be a multiple of processes"):
        TrainingSettings(batch=batch, processes=processes, accumulate=accumulate)
