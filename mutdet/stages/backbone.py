"""Stage `backbone`: write the weights of the frozen backbone.

Knows no method: what trains reaches this module through the registry alone, so that code of a training changes the
fingerprint of the variants that it trains and of no other.
"""

import torch

from mutdet.embedding.backbones import save_backbone
from mutdet.settings.backbone import BackboneFiles, BackboneMethodSettings
from mutdet.settings.base import Runtime
from mutdet.settings.registries import BACKBONE_METHODS, load
from mutdet.tables.write import write_provenance


def run(files: BackboneFiles, settings: BackboneMethodSettings, runtime: Runtime) -> None:
    """Make the backbone that the method names and save it under torchvision's tensor names."""
    torch.set_num_threads(1)
    backbone = load(BACKBONE_METHODS, settings.method)(settings, files, runtime)
    save_backbone(files.output, backbone, settings.method)
    parameters = sum(parameter.numel() for parameter in backbone.parameters())
    write_provenance(files.output, settings=settings.model_dump(mode="json"), width=backbone.width, parameters=parameters)
