"""Weights of Segment Anything models, verified before they are read; nothing is unpickled."""

from collections.abc import Mapping
from pathlib import Path

from segment_anything import sam_model_registry
from segment_anything.modeling import Sam
from torch import Tensor

from mutdet.proposals.small_sam import build_small_sam
from mutdet.settings.errors import UserError
from mutdet.settings.proposals.sam_generator import SMALL_WEIGHTS
from mutdet.tables.foreign_weights import read_foreign_weights


def load_sam(model: str, weights: Path | None, sha256: str | None) -> Sam:
    """Model on the CPU in evaluation mode, float32.

    Args:
        model: small, vit_h, vit_l or vit_b.
        weights: checkpoint, .safetensors or .pth; none: the package's own small model.
        sha256: what the checkpoint must hash to; none: not checked (the package's own weights).

    Raises:
        UserError: the checkpoint is missing, is another file than the hash says, is truncated or fits another model.
    """
    path = weights or SMALL_WEIGHTS
    state = read_foreign_weights(path, sha256)
    sam = build_small_sam() if model == "small" else sam_model_registry[model]()
    problems = _mismatches(sam.state_dict(), state)
    if problems:
        raise UserError(f"is no checkpoint of model {model}: {problems}", file=path, remedy="set model and weights of stage masks to a pair that fits")
    sam.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return sam.eval()


def _mismatches(expected: Mapping[str, Tensor], found: object) -> str:
    """What keeps a checkpoint from fitting a model, in words; empty if nothing does."""
    if not isinstance(found, Mapping):
        return "it holds no table of tensors"
    missing, unknown = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    shapes = sorted(name for name in expected.keys() & found.keys() if getattr(found[name], "shape", None) != expected[name].shape)
    kinds = {"missing": missing, "unknown": unknown, "of another shape": shapes}
    return ", ".join(f"{len(names)} tensors {kind} (first: {names[0]})" for kind, names in kinds.items() if names)
