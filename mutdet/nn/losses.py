"""Losses of a stack of layers, given who is matched with whom."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from mutdet.nn.batch_targets import BatchTargets
from mutdet.nn.box_coding import generalised_iou, isotropic
from mutdet.nn.matcher import ALPHA, GAMMA, Matches
from mutdet.nn.ranks import share_of_count
from mutdet.settings.detectors import DetectorSettings


@dataclass(frozen=True)
class Predictions:
    """Class logits [layers, B, Q, N], normalised boxes [layers, B, Q, 4], angle outputs [layers, B, Q, A]; [B, Q] False for those not to count."""

    logits: Tensor
    boxes: Tensor
    angle_logits: Tensor
    counted: Tensor | None = None


def layer_losses(predictions: Predictions, matches: Sequence[Matches], targets: BatchTargets, settings: DetectorSettings) -> dict[str, Tensor]:
    """Weighted losses of every layer, each over the number of its matches in all processes (at least 1; `mutdet.nn.ranks`).

    Args:
        predictions: of all layers.
        matches: one per layer.
        targets: objects of the batch.
        settings: loss weights.

    Returns:
        "class", "box", "giou", "angle" -> [layers].
    """
    pairs = _Pairs(matches, targets)
    boxes = predictions.boxes[pairs.index]
    wanted = targets.boxes[pairs.target]
    scales = targets.scales[pairs.image]
    distance = (boxes - wanted).abs().sum(-1)
    overlap = generalised_iou(isotropic(boxes, scales), isotropic(wanted, scales))
    turned = targets.coding.losses(predictions.angle_logits[pairs.index], targets.angle_labels[pairs.target])
    return {
        "class": settings.class_weight * _focal(predictions, pairs, targets) / pairs.counts,
        "box": settings.box_weight * pairs.sum(distance),
        "giou": settings.giou_weight * pairs.sum(1 - overlap),
        "angle": settings.angle_weight * pairs.sum(turned * targets.angle_weights[pairs.target]),
    }


class _Pairs:
    """Matches of all layers, one after the other."""

    def __init__(self, matches: Sequence[Matches], targets: BatchTargets) -> None:
        device = targets.boxes.device
        lengths = [len(part) for part in matches]
        counts = torch.tensor(lengths, device=device)
        # Without the size of its output it would wait for the device.
        self.layer = torch.repeat_interleave(torch.arange(len(matches), device=device), counts, output_size=sum(lengths))
        self.image, query, self.target = (torch.cat(part) for part in zip(*((m.image, m.query, m.target) for m in matches), strict=True))
        self.index = (self.layer, self.image, query)
        self.counts = share_of_count(counts, device)

    def sum(self, values: Tensor) -> Tensor:
        """[P] values to [layers] sums over the number of matches."""
        return values.new_zeros(len(self.counts)).index_add(0, self.layer, values) / self.counts


def _focal(predictions: Predictions, pairs: _Pairs, targets: BatchTargets) -> Tensor:
    wanted = torch.zeros_like(predictions.logits)
    wanted[(*pairs.index, targets.labels[pairs.target])] = 1.0
    loss = sigmoid_focal_loss(predictions.logits, wanted, ALPHA, GAMMA).sum(-1)
    if predictions.counted is not None:
        loss = loss.masked_fill(~predictions.counted, 0.0)
    return loss.sum((1, 2))
