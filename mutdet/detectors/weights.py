"""Detector files: weights with the architecture and the categories in the metadata, as safetensors."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mutdet.detectors.two_stage_detr import TwoStageDetr
from mutdet.settings.detectors import DetectorSettings
from mutdet.settings.errors import UserError
from mutdet.settings.registries import DETECTORS, load
from mutdet.tables.atomic import atomic_path

FORMAT = "mutdet-detector-1"
_REMEDY = "name a detector.safetensors written by mutdet pretrain, finetune or import-checkpoint"


@dataclass(frozen=True)
class DetectorFile:
    """A detector read from a file.

    Attributes:
        model: in evaluation mode, on the CPU.
        settings: its architecture.
        categories: N names in the order of labels; pseudo-classes are named `cluster_0` and so on.
        facts: whatever else the writer noted, such as how the backbone was trained.
    """

    model: TwoStageDetr
    settings: DetectorSettings
    categories: list[str]
    facts: dict[str, Any]


def save_detector(path: Path, model: TwoStageDetr, categories: Sequence[str], facts: Mapping[str, Any] | None = None) -> None:
    """Write weights, architecture, categories (N names) and facts (JSON values) atomically; the same input gives the same bytes.

    Raises:
        ValueError: the number of categories is not the model's.
    """
    if len(categories) != model.classes:
        raise ValueError(f"{len(categories)} categories for a detector of {model.classes} classes")
    content = {"settings": model.settings.model_dump(mode="json"), "categories": list(categories), "facts": dict(facts or {})}
    # One key: safetensors writes several in an order that changes from run to run.
    metadata = {FORMAT: json.dumps(content, sort_keys=True)}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata)


def load_detector(path: Path) -> DetectorFile:
    """Read what `save_detector` wrote.

    Raises:
        UserError: the file is missing, truncated or no detector of ours, or a tensor is missing or has another shape.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except (FileNotFoundError, SafetensorError, OSError) as error:
        raise UserError(f"cannot be read as weights ({error})", file=path, remedy=_REMEDY) from error
    if FORMAT not in metadata:
        raise UserError("is no detector of ours", file=path, remedy=_REMEDY)
    try:
        content = json.loads(metadata[FORMAT])
        settings = DetectorSettings.model_validate(content["settings"])
        model: TwoStageDetr = load(DETECTORS, settings.kind)(settings, len(content["categories"]))
        model.load_state_dict(state)
    except (ValidationError, RuntimeError, KeyError, ValueError) as error:
        raise UserError(f"does not hold the detector that its header describes ({error})", file=path, remedy=_REMEDY) from error
    return DetectorFile(model.eval(), settings, content["categories"], content["facts"])
