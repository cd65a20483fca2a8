"""Commands start PyTorch with threads that do not spin for long."""

import os
import subprocess
import sys

import pytest

COMMAND = """
from mutdet.cli import main
try:
    main(["pretrain", "--help"])
except SystemExit:
    import torch
"""


@pytest.mark.parametrize(("environment", "spins"), [({}, "1000"), ({"GOMP_SPINCOUNT": "77"}, "77"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")])
def test_pytorch_is_told_how_long_to_spin_unless_the_user_says_it(environment, spins):
    own = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    shown = subprocess.run(
        [sys.executable, "-c", COMMAND], env={**own, **environment, "OMP_DISPLAY_ENV": "VERBOSE"}, capture_output=True, text=True, check=True
    ).stderr
    if "GOMP_SPINCOUNT" not in shown:
        pytest.skip("PyTorch here does not use GNU's OpenMP")
    assert f"GOMP_SPINCOUNT = '{spins}'" in shown
