"""How a detector expresses the angle of a box: what its heads give, how that is read, and how far it is from an object's."""

import math
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from mutdet.geometry.angle_code import aspect_ratio_aware_label, decode_angle


class AngleCoding(ABC):
    """One way of expressing angles.

    Attributes:
        outputs: A, numbers that a head gives.
    """

    outputs: int

    @abstractmethod
    def decode(self, outputs: Tensor) -> Tensor:
        """[...] radians in [-pi/2, pi/2] from outputs [..., A]."""

    @abstractmethod
    def targets(self, angles: Tensor, ratios: Tensor) -> tuple[Tensor, Tensor]:
        """What objects with angles [G] in radians and aspect ratios [G] >= 1 ask of the outputs, [G, A], and how much each counts, [G]."""

    @abstractmethod
    def pair_costs(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """[layers, B, Q, M] distance of outputs [layers, B, Q, A] from the targets [B, M, A] of every object."""

    @abstractmethod
    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """[P] distance of outputs [P, A] from their targets [P, A]."""


class ClassifiedAngle(AngleCoding):
    """A class for every bin of the half turn, with aspect-ratio-aware soft labels; elongated boxes count more (ARS-DETR, docs/method.md B)."""

    def __init__(self, bins: int) -> None:
        self.outputs = bins

    def decode(self, outputs: Tensor) -> Tensor:
        """Centre of the best bin."""
        return decode_angle(outputs)

    def targets(self, angles: Tensor, ratios: Tensor) -> tuple[Tensor, Tensor]:
        """Soft labels, and 2k / (k + 1) with the aspect ratio k."""
        return aspect_ratio_aware_label(angles, ratios, self.outputs), 2 * ratios / (ratios + 1)

    def pair_costs(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean binary cross-entropy over bins.

        Cross-entropy is softplus(x) - x t, so the sum over bins of every pair is one matrix product.
        """
        return F.softplus(outputs).mean(-1, keepdim=True) - outputs @ targets.transpose(1, 2) / outputs.shape[-1]

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The same, pair by pair."""
        return F.binary_cross_entropy_with_logits(outputs, targets, reduction="none").mean(-1)


class RegressedAngle(AngleCoding):
    """One number, whose sigmoid is the share of the half turn from -pi/2; the ends of the range, which are one direction, lie far apart."""

    outputs = 1

    def decode(self, outputs: Tensor) -> Tensor:
        """Angle of the sigmoid."""
        return (outputs.squeeze(-1).sigmoid() - 0.5) * math.pi

    def targets(self, angles: Tensor, ratios: Tensor) -> tuple[Tensor, Tensor]:
        """Shares of the half turn; all count alike."""
        return (angles / math.pi + 0.5)[:, None], torch.ones_like(angles)

    def pair_costs(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Absolute difference of shares."""
        return (outputs.sigmoid() - targets.transpose(1, 2)).abs()

    def losses(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The same, pair by pair."""
        return (outputs.sigmoid() - targets).abs().squeeze(-1)
