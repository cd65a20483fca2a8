"""Patches of images and what a frozen backbone says of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mutdet.embedding.rotated_crops import rotated_crops
from mutdet.embedding.tile_images import MEAN, STD
from mutdet.nn.backbones import Backbone
from mutdet.nn.full_precision import full_precision
from mutdet.pretraining.selfsup.photometry import Photometry, augment, normalised_views
from mutdet.settings.pretraining.patches import PatchSettings

BLUR_KERNEL = 15
"""Side of the blur's kernel, pixels: three deviations of the strongest default blur on either side."""
_AT_ONCE = 64
"""Patches in one forward pass; bounds memory."""


def augmented_patches(images: Tensor, sizes: Tensor, boxes: Sequence[Tensor], settings: PatchSettings, generators: Sequence[torch.Generator]) -> Tensor:
    """Every box cut out upright and coloured at random.

    Args:
        images: [B, 3, H, W] normalised RGB, padded.
        sizes: [B, 2] height and width without padding.
        boxes: per image [M, 5] pixels.
        settings: size and colours.
        generators: one per image, on the CPU.

    Returns:
        [G, 3, S, S] normalised RGB, patches of one image after the other.
    """
    places = zip(images, sizes.tolist(), boxes, strict=True)
    crops = [rotated_crops(image[:, :height, :width], own.to(image.dtype), settings.patch_size) for image, (height, width), own in places]
    patches = torch.cat(crops)
    mean, std = (patches.new_tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    coloured = ((patches * std + mean) / 255.0).clamp(0.0, 1.0)
    with full_precision(images.device):
        drawn = [draw_colours(len(crop), settings, generator) for crop, generator in zip(crops, generators, strict=True)]
        return normalised_views(augment(coloured, Photometry.join(drawn), BLUR_KERNEL))


def draw_colours(count: int, settings: PatchSettings, generator: torch.Generator) -> Photometry:
    """Colours of so many patches: jitter in random order, grey, blur; no inversion."""
    widest = torch.tensor([settings.patch_brightness] * 3 + [settings.patch_hue])
    factors = torch.tensor([1.0, 1.0, 1.0, 0.0]) + widest * (2.0 * torch.rand(count, 4, generator=generator) - 1.0)
    order = torch.rand(count, 4, generator=generator).argsort(dim=1)
    jittered, grey, blurred = (torch.rand(count, 3, generator=generator) < torch.tensor([settings.patch_jitter, settings.patch_grey, settings.patch_blur])).T
    low, high = settings.patch_blur_sigma
    sigma = low + (high - low) * torch.rand(count, generator=generator)
    none = torch.zeros(count, dtype=torch.bool)
    return Photometry(factors, order.masked_fill(~jittered[:, None], -1), grey, sigma * blurred, none)


@torch.no_grad()
def pooled_features(backbone: Backbone, patches: Tensor, level: int) -> Tensor:
    """[G, D] means over the features of one of a backbone's levels (0: stride 8, 1: 16, 2: 32); patches [G, 3, S, S]."""
    if not len(patches):
        return patches.new_zeros(0, backbone.channels[level])
    return torch.cat([backbone(part)[level].mean(dim=(2, 3)) for part in patches.split(_AT_ONCE)])
