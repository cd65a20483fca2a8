"""Heads that read class, box and angle from tokens and decoder states."""

import math

from torch import Tensor, nn

from mutdet.nn.box_coding import inverse_sigmoid
from mutdet.nn.full_precision import FullPrecisionLinear
from mutdet.settings.detectors import DetectorSettings

PRIOR = 0.01


def _classifier(width: int, classes: int) -> FullPrecisionLinear:
    """Linear layer that gives every class a probability of 1 % at first (Lin et al. 2017, focal loss)."""
    layer = FullPrecisionLinear(width, classes)
    nn.init.constant_(layer.bias, -math.log((1 - PRIOR) / PRIOR))
    return layer


def _box_regressor(width: int) -> nn.Sequential:
    """Three layers, the last one zero, so that boxes start as their references."""
    last = FullPrecisionLinear(width, 4)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(FullPrecisionLinear(width, width), nn.ReLU(), FullPrecisionLinear(width, width), nn.ReLU(), last)


class EncoderHead(nn.Module):
    """Objectness, box and angle of encoder tokens.

    Objectness is a logit of its own; the released code takes class 0's (docs/method.md E 7).
    """

    def __init__(self, settings: DetectorSettings, angle_outputs: int) -> None:
        super().__init__()
        self.objectness = _classifier(settings.width, 1)
        self.box = _box_regressor(settings.width)
        self.angle = FullPrecisionLinear(settings.width, angle_outputs)

    def boxes(self, tokens: Tensor, anchors: Tensor) -> Tensor:
        """[B, K, 4] normalised boxes from tokens [B, K, C] and anchors [B, K, 4] before the sigmoid."""
        return (self.box(tokens) + anchors).sigmoid()


class DetectionHead(nn.Module):
    """Classes, box and angle of the states of one decoder layer."""

    def __init__(self, settings: DetectorSettings, classes: int, angle_outputs: int) -> None:
        super().__init__()
        self.classes = _classifier(settings.width, classes)
        self.box = _box_regressor(settings.width)
        self.angle = FullPrecisionLinear(settings.width, angle_outputs)

    def refine(self, states: Tensor, references: Tensor) -> Tensor:
        """[B, Q, 4] normalised boxes from states [B, Q, C] and normalised references [B, Q, 4]."""
        return (self.box(states) + inverse_sigmoid(references)).sigmoid()
