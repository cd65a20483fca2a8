"""Backbone method `byol`: the training with BYOL."""

from mutdet.embedding.backbones import Backbone
from mutdet.pretraining.selfsup.byol import Byol
from mutdet.settings.backbone import BackboneFiles
from mutdet.settings.backbones.byol import ByolBackboneSettings
from mutdet.settings.base import Runtime
from mutdet.training.self_supervised import train_backbone


def byol_backbone(settings: ByolBackboneSettings, files: BackboneFiles, runtime: Runtime) -> Backbone:
    """Backbone trained on the tiles; writes the log table. Errors are those of `train_backbone`."""
    return train_backbone(Byol, settings, files, runtime)
