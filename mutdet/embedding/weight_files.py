"""Weights of other people's files, matched to a backbone."""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mutdet.embedding.backbones import Backbone
from mutdet.settings.console import log
from mutdet.settings.errors import UserError
from mutdet.tables.foreign_weights import read_foreign_weights

_PREFIX = re.compile(r"^(?:(?:module|backbone|encoder|model)\.)*")
_COUNTER = "num_batches_tracked"


def read_weights(path: Path, sha256: str | None = None) -> dict[str, Tensor]:
    """Named tensors of a safetensors file or of a PyTorch state dictionary; nothing is unpickled.

    Raises:
        UserError: the file is missing, damaged, has another SHA-256 or holds no named tensors.
    """
    content = read_foreign_weights(path, sha256)
    for wrapper in ("state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)} if isinstance(content, Mapping) else {}
    if not tensors:
        raise UserError("holds no named tensors", file=path, remedy="export the network's state dictionary")
    return tensors


def load_weights(backbone: Backbone, tensors: Mapping[str, Tensor], source: Path | str) -> None:
    """Copy tensors into a backbone by name, leaving common prefixes (`module.`, `backbone.`, `encoder.`, `model.`) away.

    Tensors that the backbone lacks, such as a classifier's, are left; counters of batch normalisation may be missing.

    Raises:
        UserError: a tensor is missing, has another shape, or is not finite.
    """
    wanted = {name: tensor for name, tensor in backbone.body.state_dict().items() if not name.endswith(_COUNTER)}
    found = _without_prefix(tensors, wanted)
    remedy = f"give weights of torchvision's {backbone.architecture}, or name the right architecture"
    missing = sorted(set(wanted) - set(found))
    if missing:
        raise UserError(f"{len(missing)} of {len(wanted)} tensors of {backbone.architecture} are missing, such as {missing[0]}", file=source, remedy=remedy)
    for name, tensor in wanted.items():
        if found[name].shape != tensor.shape:
            shapes = f"{tuple(found[name].shape)}, {backbone.architecture} needs {tuple(tensor.shape)}"
            raise UserError(f"shape is {shapes}", file=source, record=name, remedy=remedy)
        if not torch.isfinite(found[name]).all():
            raise UserError("holds numbers that are not finite", file=source, record=name, remedy="use another checkpoint")
    backbone.body.load_state_dict({name: found[name] for name in wanted}, strict=False)
    log.info("backbone: %d tensors taken from %s, %d left", len(wanted), source, len(tensors) - len(wanted))


def _without_prefix(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors under the one prefix that fits most names; of equally good prefixes the shortest."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        match = _PREFIX.match(name)
        prefix = match.group() if match else ""
        groups.setdefault(prefix, {})[name.removeprefix(prefix)] = tensor
    return max(groups.values(), key=lambda group: (len(set(group) & set(wanted)), -len(group)))
