"""Feature pyramids of batches whose images differ in size."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mutdet.nn.feature_levels import FeatureLevels


def extract_pyramid(images: Tensor, sizes: Tensor, network: Callable[[Tensor], list[Tensor]]) -> tuple[Tensor, FeatureLevels]:
    """Run a network on every image without its padding, all images of one size together.

    Convolutions and group normalisation would otherwise carry padding into the image, and a detection would depend on
    what else is in the batch.

    Args:
        images: [B, 3, H, W], padded right and below.
        sizes: [B, 2] int64 height and width without padding; in main memory they can be read without waiting for the device.
        network: images to L maps [B, C, rows, columns].

    Returns:
        [B, K, C] tokens, zero in the padding, and their layout.
    """
    known = [tuple(size) for size in sizes.tolist()]
    members = {size: [i for i, other in enumerate(known) if other == size] for size in dict.fromkeys(known)}
    maps = {size: network(images[rows, :, : size[0], : size[1]]) for size, rows in members.items()}
    shapes = tuple(_largest(level) for level in zip(*maps.values(), strict=True))
    tokens = torch.cat([_flatten(group, shapes) for group in maps.values()])
    order = torch.tensor([row for rows in members.values() for row in rows], device=images.device)
    cells = torch.tensor([[level.shape[-2:] for level in maps[size]] for size in known], device=images.device)
    return tokens[order.argsort()], FeatureLevels(shapes, cells, sizes.to(images.device))


def _largest(maps: Sequence[Tensor]) -> tuple[int, int]:
    return max(m.shape[-2] for m in maps), max(m.shape[-1] for m in maps)


def _flatten(maps: Sequence[Tensor], shapes: Sequence[tuple[int, int]]) -> Tensor:
    padded = [F.pad(m, (0, columns - m.shape[-1], 0, rows - m.shape[-2])) for m, (rows, columns) in zip(maps, shapes, strict=True)]
    return torch.cat([m.flatten(2) for m in padded], dim=2).transpose(1, 2)
