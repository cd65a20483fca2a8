"""Backbone method `selfemd`: the training with Self-EMD."""

from mutdet.embedding.backbones import Backbone
from mutdet.pretraining.selfsup.selfemd import SelfEmd
from mutdet.settings.backbone import BackboneFiles
from mutdet.settings.backbones.selfemd import SelfEmdBackboneSettings
from mutdet.settings.base import Runtime
from mutdet.training.self_supervised import train_backbone


def selfemd_backbone(settings: SelfEmdBackboneSettings, files: BackboneFiles, runtime: Runtime) -> Backbone:
    """Backbone trained on the tiles; writes the log table. Errors are those of `train_backbone`."""
    return train_backbone(SelfEmd, settings, files, runtime)
