"""A backbone of a few thousand weights, for tests of trainings that do not depend on the network."""

import torch
from torch import Tensor, nn

from mutdet.embedding.backbones import Backbone


class TinyBackbone(Backbone):
    """Two convolutions, features of stride 8; goes by a ResNet's name so that its weights can be saved."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.architecture, self.width = "resnet18", 8
        self.body = nn.Sequential(nn.Conv2d(3, 8, 5, 8, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 1))

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.body(images)
        return features


def seeded_tiny_backbone(seed: int = 0) -> TinyBackbone:
    """The same weights for the same seed."""
    torch.manual_seed(seed)
    return TinyBackbone()
