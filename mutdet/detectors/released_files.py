"""Reading of released checkpoints without running anything in them."""

from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mutdet.settings.errors import UserError


def read_released(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """Tensors by name, and the names of the classes where the file tells them.

    Takes safetensors, or what `torch.save` wrote: a state dictionary, or mmcv's {"state_dict": ..., "meta": {"CLASSES": ...}}.

    Raises:
        UserError: the file is missing, truncated or no checkpoint, or holds more than plain values.
    """
    try:
        content: Any = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError("checkpoint is missing", file=path, remedy="download it or correct the path") from error
    except UnpicklingError as error:
        raise UserError(
            f"is no checkpoint, or holds objects besides tensors, which are not loaded ({str(error).splitlines()[0]})",
            file=path,
            remedy="save its state_dict alone where you trust it, or convert it to safetensors",
        ) from error
    except (SafetensorError, RuntimeError, OSError, EOFError) as error:
        raise UserError(f"cannot be read ({_first_line(error)})", file=path, remedy="download it again") from error
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError("holds no state dictionary", file=path, remedy="import a checkpoint of ARS-DETR or MutDet")
    meta = content.get("meta")
    classes = meta.get("CLASSES") if isinstance(meta, Mapping) else None
    return dict(state), list(map(str, classes)) if isinstance(classes, list | tuple) else []


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
