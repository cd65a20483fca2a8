"""Reading of released checkpoints without running anything in them."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mutdet.settings.errors import UserError
from mutdet.tables.foreign_weights import read_foreign_weights


def read_released(path: Path) -> tuple[dict[str, Tensor], list[str]]:
    """Tensors by name, and the names of the classes where the file tells them.

    Takes safetensors, or what `torch.save` wrote: a state dictionary, or mmcv's {"state_dict": ..., "meta": {"CLASSES": ...}}.

    Raises:
        UserError: the file is missing, truncated or no checkpoint, or holds more than plain values.
    """
    content = read_foreign_weights(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise UserError("holds no state dictionary", file=path, remedy="import a checkpoint of ARS-DETR or MutDet")
    meta = content.get("meta")
    classes = meta.get("CLASSES") if isinstance(meta, Mapping) else None
    return dict(state), list(map(str, classes)) if isinstance(classes, list | tuple) else []
