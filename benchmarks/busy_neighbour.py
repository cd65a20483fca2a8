"""A step of fine-tuning on as many threads as there are cores: alone, beside a program that keeps one core busy, and beside another such training.

Three ways for a thread to wait for the others: spin for milliseconds, as the OpenMP of PyTorch's Linux wheels does unless told otherwise; sleep at once; and
spin for microseconds before it sleeps, which every `mutdet` command asks for. All in turn, each in a process of its own. On a machine of more cores:
`taskset -c 0,1 python benchmarks/busy_neighbour.py`.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from statistics import median

from measuring import machine, measure
from training_step import SIDES, parser_of_sizes, step

from mutdet.settings.waiting import SPINS, VARIABLE

WAYS = {"spin": {}, "sleep": {"OMP_WAIT_POLICY": "PASSIVE"}, "ours": {VARIABLE: SPINS}}
OURS = next(side for side in SIDES if side.name == "ours, float32")
COUNTING = "while True: pass"
TRAINING = """
import torch, torchvision
torch.set_num_threads({threads})
model, images = torchvision.models.resnet18(), torch.randn(16, 3, 96, 96)
while True: model(images).square().sum().backward()
"""


@contextmanager
def running(code: str) -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        try:
            yield
        finally:
            process.kill()


def seconds(way: str, given: argparse.Namespace, neighbour: str) -> float:
    """Of a step, the fastest of some; the neighbour waits in the same way."""
    for variable in ("OMP_WAIT_POLICY", VARIABLE):
        os.environ.pop(variable, None)
    os.environ.update(WAYS[way])
    with running(neighbour) if neighbour else nullcontext():
        return float(measure(step, "fine-tuning", OURS, given).value[0])


def main() -> None:
    parser = parser_of_sizes(__doc__, side=256)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=6, help="alone; beside another program a third of them")
    parser.set_defaults(tiles=2)
    given = parser.parse_args()
    print(f"{machine()}; {given.threads} threads; median (smallest to largest) of rounds in turn")
    neighbours = {"alone": "", "beside a busy program": COUNTING, "beside a training": TRAINING.format(threads=given.threads)}
    for name, neighbour in neighbours.items():
        taken: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(max(1, given.rounds // 3) if neighbour else given.rounds):
            for way, values in taken.items():
                values.append(seconds(way, given, neighbour))
        for way, values in taken.items():
            print(f"{name:22s} {way:6s} {median(values):7.3f} s a step ({min(values):.3f} to {max(values):.3f})", flush=True)


if __name__ == "__main__":
    main()
