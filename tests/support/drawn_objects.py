"""Random objects and predictions for tests of matching, losses and the detector."""

import math

import torch
from torch import Tensor

from mutdet.nn.angles import ClassifiedAngle
from mutdet.nn.batch_targets import BatchTargets, collect_targets

SIZES = torch.tensor([[96, 160], [128, 128]])


def random_objects(counts: list[int], seed: int = 0, classes: int = 3) -> tuple[list[Tensor], list[Tensor]]:
    """Boxes [M, 5] in pixels, le90, and labels [M] for each count."""
    g = torch.Generator().manual_seed(seed)
    boxes = []
    for count in counts:
        sides = torch.rand(count, 2, generator=g).sort(descending=True)[0] * 40 + 4
        boxes.append(torch.cat([torch.rand(count, 2, generator=g) * 90, sides, (torch.rand(count, 1, generator=g) - 0.5) * math.pi * 0.999], dim=1))
    return boxes, [torch.randint(0, classes, (count,), generator=g) for count in counts]


def random_targets(counts: list[int], seed: int = 0, classes: int = 3, bins: int = 180) -> BatchTargets:
    boxes, labels = random_objects(counts, seed, classes)
    return collect_targets(boxes, labels, SIZES[: len(counts)], ClassifiedAngle(bins))


def random_outputs(layers: int, batch: int, queries: int, seed: int = 1, classes: int = 3, bins: int = 180) -> tuple[Tensor, Tensor, Tensor]:
    """Class logits, normalised boxes and angle logits."""
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(layers, batch, queries, classes, generator=g)
    boxes = torch.rand(layers, batch, queries, 4, generator=g) * 0.8 + 0.1
    return logits, boxes, torch.randn(layers, batch, queries, bins, generator=g)
