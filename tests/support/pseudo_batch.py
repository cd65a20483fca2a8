"""Small batches of pseudo objects for pre-training methods."""

import torch
from drawn_tables import TINY
from torch import Tensor
from torch.nn.functional import normalize

from mutdet.detectors.types import Targets

SIDE = 96
CLASSES = 7


def pseudo_objects(count: int, seed: int = 0) -> Targets:
    """Boxes about an image of `SIDE` pixels, with labels and unit embeddings."""
    random = torch.Generator().manual_seed(seed)
    boxes = torch.rand(count, 5, generator=random) * torch.tensor([SIDE, SIDE, 20, 6, 3]) + torch.tensor([0, 0, 10, 3, -1.5])
    labels = torch.randint(0, CLASSES, (count,), generator=random)
    return Targets(boxes, labels, normalize(torch.randn(count, TINY.width, generator=random), dim=-1))


def noise_images(count: int, seed: int = 1) -> tuple[Tensor, Tensor]:
    """Images [B, 3, SIDE, SIDE] and their sizes [B, 2]."""
    return torch.randn(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)), torch.full((count, 2), SIDE)
