"""Backbone method `mocov2`: the training with MoCo v2."""

from mutdet.embedding.backbones import Backbone
from mutdet.pretraining.selfsup.mocov2 import MocoV2
from mutdet.settings.backbone import BackboneFiles
from mutdet.settings.backbones.mocov2 import MocoV2BackboneSettings
from mutdet.settings.base import Runtime
from mutdet.training.self_supervised import train_backbone


def mocov2_backbone(settings: MocoV2BackboneSettings, files: BackboneFiles, runtime: Runtime) -> Backbone:
    """Backbone trained on the tiles; writes the log table. Errors are those of `train_backbone`."""
    return train_backbone(MocoV2, settings, files, runtime)
