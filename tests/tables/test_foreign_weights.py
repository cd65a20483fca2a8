"""Files of weights that others wrote: whatever their bytes, weights or one line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mutdet.settings.errors import UserError
from mutdet.tables.foreign_weights import read_foreign_weights


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("text", ["error code: 404", "hello world", "<html></html>", "\x80\x04K", ""])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_failed_downloads_are_told_in_one_line(tmp_path: Path, text: str, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=r"^\S+: is no readable checkpoint \(\w+\); download it again$"):
        read_foreign_weights(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_damaged_bytes_give_tensors_or_one_line(tmp_path: Path, suffix: str) -> None:
    path, random = tmp_path / f"weights{suffix}", np.random.default_rng(0)
    tensors = {"weight": torch.arange(6.0), "bias": torch.zeros(2)}
    save_file(tensors, path) if suffix == ".safetensors" else torch.save(tensors, path, _use_new_zipfile_serialization=False)
    whole, refused = np.frombuffer(path.read_bytes(), np.uint8), 0
    for _ in range(150):
        damaged = whole[: random.integers(1, len(whole) + 1)].copy()
        damaged[random.integers(0, len(damaged), 3)] = random.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        try:
            read_foreign_weights(path)
        except UserError:
            refused += 1
    assert refused > 50
