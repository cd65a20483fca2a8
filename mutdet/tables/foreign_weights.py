"""Files of weights that others wrote, read without running anything in them."""

import hashlib
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from mutdet.settings.errors import UserError

_OBJECT = re.compile(r"GLOBAL (\S+)")


def read_foreign_weights(path: Path, sha256: str | None = None) -> Any:
    """Content of a safetensors file, or of what `torch.save` wrote where it holds tensors and plain values alone.

    Args:
        path: the file.
        sha256: what it must hash to; none takes any.

    Raises:
        UserError: the file is missing, has another SHA-256, is damaged, of another kind, or holds other objects.
    """
    if not path.is_file():
        raise UserError("checkpoint is missing", file=path, remedy="download it or correct the path")
    if sha256 is not None:
        _check_sha256(path, sha256)
    try:
        return load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Damaged bytes make the unpickler raise nearly anything.
        found = _OBJECT.search(str(error)) if isinstance(error, pickle.UnpicklingError) else None
        if found:
            remedy = "save its state_dict alone where you trust it, or convert it to safetensors"
            raise UserError(f"holds objects besides tensors, which are not loaded ({found.group(1)})", file=path, remedy=remedy) from error
        raise UserError(f"is no readable checkpoint ({type(error).__name__})", file=path, remedy="download it again") from error


def _check_sha256(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected.lower():
        raise UserError(f"SHA-256 is {found}, expected {expected.lower()}", file=path, remedy="download the file again or correct sha256")
