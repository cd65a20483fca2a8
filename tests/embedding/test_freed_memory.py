"""Freed memory that stays with the process: in a process of its own, for the setting can't be taken back."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, torch
from mutdet.embedding.freed_memory import keep_freed_memory
torch.set_num_threads(1)

def step():
    tensors = [torch.ones(4 * 2**20) for _ in range(10)]

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

step()
print(faults())
keep_freed_memory()
for _ in range(3):  # until the heap has a place for each tensor between small pieces
    step()
print(faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_a_step_finds_the_memory_of_those_before_it():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    given_back, kept = map(int, done.stdout.split())
    # 160 MB: 40,000 pages of 4 KiB, or 80 of 2 MiB.
    assert given_back >= 80
    assert kept < given_back / 10
