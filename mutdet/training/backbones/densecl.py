"""Backbone method `densecl`: the training with DenseCL."""

from mutdet.embedding.backbones import Backbone
from mutdet.pretraining.selfsup.densecl import DenseCl
from mutdet.settings.backbone import BackboneFiles
from mutdet.settings.backbones.densecl import DenseClBackboneSettings
from mutdet.settings.base import Runtime
from mutdet.training.self_supervised import train_backbone


def densecl_backbone(settings: DenseClBackboneSettings, files: BackboneFiles, runtime: Runtime) -> Backbone:
    """Backbone trained on the tiles; writes the log table. Errors are those of `train_backbone`."""
    return train_backbone(DenseCl, settings, files, runtime)
