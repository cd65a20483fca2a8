"""Backbone method `simsiam`: the training with SimSiam."""

from mutdet.embedding.backbones import Backbone
from mutdet.pretraining.selfsup.simsiam import SimSiam
from mutdet.settings.backbone import BackboneFiles
from mutdet.settings.backbones.simsiam import SimSiamBackboneSettings
from mutdet.settings.base import Runtime
from mutdet.training.self_supervised import train_backbone


def simsiam_backbone(settings: SimSiamBackboneSettings, files: BackboneFiles, runtime: Runtime) -> Backbone:
    """Backbone trained on the tiles; writes the log table. Errors are those of `train_backbone`."""
    return train_backbone(SimSiam, settings, files, runtime)
