"""Names that the config file may choose from, and the modules that carry them out.

A new mask generator, pre-training method, detector or label format is a new file and one line here.
"""

from importlib import import_module
from typing import Any

from mutdet.settings.errors import UserError

MASK_GENERATORS = {
    "sam": "mutdet.proposals.sam_generator:SamGenerator",
    "selective_search": "mutdet.proposals.selective_search:SelectiveSearchGenerator",
}
PRETRAINING_METHODS = {
    "mutdet": "mutdet.pretraining.mutdet:MutDet",
    "none": "mutdet.pretraining.untrained:Untrained",
}
DETECTORS = {
    "ars_detr": "mutdet.detectors.ars_detr:ArsDetr",
}
LABEL_FORMATS = {
    "dota": "mutdet.data.formats.dota:read_labels",
    "dior_r": "mutdet.data.formats.dior_r:read_labels",
}
BACKBONE_METHODS = {
    "imagenet": "mutdet.embedding.pretrained_backbones:imagenet_backbone",
    "random": "mutdet.embedding.pretrained_backbones:random_backbone",
    "checkpoint": "mutdet.embedding.pretrained_backbones:checkpoint_backbone",
}


def load(registry: dict[str, str], name: str) -> Any:
    """Object that a registry names.

    Raises:
        UserError: the name is not in the registry.
    """
    if name not in registry:
        raise UserError(f"{name!r} is unknown", remedy=f"choose one of {', '.join(sorted(registry))}")
    module, _, attribute = registry[name].partition(":")
    return getattr(import_module(module), attribute)
