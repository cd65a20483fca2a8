"""Weights from one detector to another whose classes, queries or depth may differ."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class TransferReport:
    """Names of tensors: taken over; in both with another shape; only in the model; only in the source."""

    loaded: list[str]
    shape_mismatch: list[str]
    missing: list[str]
    unused: list[str]

    def summary(self) -> str:
        """One line for the log: counts, and the names of what was not loaded, shortened to whole modules."""
        parts = [f"{len(self.loaded)} tensors loaded"]
        for title, names in (("other shape", self.shape_mismatch), ("not in the source", self.missing), ("unused", self.unused)):
            modules = dict.fromkeys(name.rpartition(".")[0] or name for name in names)
            parts.append(f"{title}: {len(names)}" + (f" ({', '.join(modules)})" if names else ""))
        return "; ".join(parts)


def transfer(state: Mapping[str, Tensor], model: nn.Module) -> TransferReport:
    """Copy every tensor of `state` whose name and shape `model` has.

    To go from pre-training to fine-tuning pass `source.shared_state()`: class heads and label embedding then stay
    as initialised even where their shapes happen to agree.
    """
    own = model.state_dict()
    common = [name for name in own if name in state]
    loaded = [name for name in common if own[name].shape == state[name].shape]
    model.load_state_dict({name: state[name] for name in loaded}, strict=False)
    return TransferReport(
        loaded=loaded,
        shape_mismatch=[name for name in common if own[name].shape != state[name].shape],
        missing=[name for name in own if name not in state],
        unused=[name for name in state if name not in own],
    )
