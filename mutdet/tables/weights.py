"""Weights as safetensors whose bytes depend on content alone."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mutdet.settings.errors import UserError
from mutdet.tables.atomic import atomic_path


def write_weights(path: Path, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write named arrays and texts atomically.

    The library writes metadata in an order that changes from process to process; here it is sorted, so that equal
    weights are equal files.
    """
    content = save({name: np.ascontiguousarray(array) for name, array in tensors.items()})
    length = int.from_bytes(content[:8], "little")
    header = {"__metadata__": dict(sorted(metadata.items())), **json.loads(content[8 : 8 + length])}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic_path(path) as temporary:
        temporary.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


def read_metadata(path: Path) -> dict[str, str]:
    """Texts in the header of a safetensors file.

    Raises:
        UserError: the file is missing, cut off or no safetensors file.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            return dict(file.metadata() or {})
    except FileNotFoundError as error:
        raise UserError("weights are missing", file=path, remedy="run the stage that writes them") from error
    except (SafetensorError, OSError) as error:
        raise UserError(f"is no complete safetensors file ({error})", file=path, remedy="delete it and run the stage that writes it again") from error
