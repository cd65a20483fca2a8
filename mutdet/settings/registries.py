"""Names that the config file may choose from, and the modules that carry them out.

A new detector or label format is a new file and one line here. A new mask generator, backbone method or pre-training method has settings
of its own: a file below `mutdet/settings` (these import neither torch nor cv2), a file with the code, and one line here that names both.
The command line's flags, the JSON schema and docs/settings.md follow from it (the latter two by `python -m mutdet.settings.schema`), and
no other variant runs again: its fingerprint holds the two modules that its own line names, and neither this module nor anybody else's.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from mutdet.settings.errors import UserError
from mutdet.settings.plugins import Plugin

MASK_GENERATORS = {
    "sam": Plugin("mutdet.settings.proposals.sam_generator:SamSettings", "mutdet.proposals.sam_generator:SamGenerator"),
    "random": Plugin("mutdet.settings.proposals.random_boxes:RandomBoxesSettings", "mutdet.proposals.random_boxes:RandomBoxesGenerator"),
    "selective_search": Plugin(
        "mutdet.settings.proposals.selective_search:SelectiveSearchSettings", "mutdet.proposals.selective_search:SelectiveSearchGenerator"
    ),
}
PRETRAINING_METHODS = {
    "mutdet": Plugin("mutdet.settings.pretraining.mutdet:MutdetPretrainSettings", "mutdet.pretraining.mutdet:MutDet"),
    "aligndet": Plugin("mutdet.settings.pretraining.aligndet:AlignDetPretrainSettings", "mutdet.pretraining.aligndet:AlignDet"),
    "detreg": Plugin("mutdet.settings.pretraining.detreg:DetRegPretrainSettings", "mutdet.pretraining.detreg:DetReg"),
    "updetr": Plugin("mutdet.settings.pretraining.updetr:UpDetrPretrainSettings", "mutdet.pretraining.updetr:UpDetr"),
    "none": Plugin("mutdet.settings.pretraining.untrained:UntrainedPretrainSettings", "mutdet.pretraining.untrained:Untrained"),
}
DETECTORS = {
    "ars_detr": "mutdet.detectors.ars_detr:ArsDetr",
    "deformable_detr": "mutdet.detectors.deformable_detr:DeformableDetr",
}
LABEL_FORMATS = {
    "dota": "mutdet.data.formats.dota:read_labels",
    "dior_r": "mutdet.data.formats.dior_r:read_labels",
}
BACKBONE_METHODS = {
    "imagenet": Plugin("mutdet.settings.backbones.imagenet:ImagenetBackboneSettings", "mutdet.embedding.pretrained_backbones:imagenet_backbone"),
    "random": Plugin("mutdet.settings.backbones.random:RandomBackboneSettings", "mutdet.embedding.pretrained_backbones:random_backbone"),
    "checkpoint": Plugin("mutdet.settings.backbones.checkpoint:CheckpointBackboneSettings", "mutdet.embedding.pretrained_backbones:checkpoint_backbone"),
    "byol": Plugin("mutdet.settings.backbones.byol:ByolBackboneSettings", "mutdet.training.backbones.byol:byol_backbone"),
    "selfemd": Plugin("mutdet.settings.backbones.selfemd:SelfEmdBackboneSettings", "mutdet.training.backbones.selfemd:selfemd_backbone"),
    "simsiam": Plugin("mutdet.settings.backbones.simsiam:SimSiamBackboneSettings", "mutdet.training.backbones.simsiam:simsiam_backbone"),
    "mocov2": Plugin("mutdet.settings.backbones.mocov2:MocoV2BackboneSettings", "mutdet.training.backbones.mocov2:mocov2_backbone"),
    "densecl": Plugin("mutdet.settings.backbones.densecl:DenseClBackboneSettings", "mutdet.training.backbones.densecl:densecl_backbone"),
}


def load(registry: Mapping[str, str | Plugin], name: str) -> Any:
    """Object that a registry names; of a plug-in, its code.

    Raises:
        UserError: the name is not in the registry.
    """
    if name not in registry:
        raise UserError(f"{name!r} is unknown", remedy=f"choose one of {', '.join(sorted(registry))}")
    entry = registry[name]
    module, _, attribute = (entry.code if isinstance(entry, Plugin) else entry).partition(":")
    return getattr(import_module(module), attribute)


def modules(registry: Mapping[str, str | Plugin], name: str) -> list[str]:
    """Modules that a line of a registry names."""
    entry = registry[name]
    objects = [entry.settings, entry.code] if isinstance(entry, Plugin) else [entry]
    return [place.partition(":")[0] for place in objects]
