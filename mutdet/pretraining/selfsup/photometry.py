"""Colours and sharpness of views: torchvision's operations with parameters of their own for every image, on whole batches.

torchvision v2 draws one set of parameters for a batch; here each image has its own, so that a batch needs a few large operations on
its device instead of many small ones. Tests hold each operation equal to torchvision's on single images.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2.functional import rgb_to_grayscale, solarize

from mutdet.embedding.tile_images import MEAN, STD
from mutdet.settings.backbones.views import ViewSettings


@dataclass(frozen=True)
class Photometry:
    """Parameters of B views; of one view where the leading dimension is missing.

    Attributes:
        factors: [B, 4] factors on brightness, contrast and saturation, and the turn of the hue.
        order: [B, 4] in which order these four are applied; -1 where they are not.
        grey: [B] whether colours are dropped.
        sigma: [B] deviation of the blur, pixels; 0 for none.
        solarized: [B] whether values above one half are inverted.
    """

    factors: Tensor
    order: Tensor
    grey: Tensor
    sigma: Tensor
    solarized: Tensor

    @classmethod
    def stack(cls, views: Sequence["Photometry"]) -> Self:
        """Parameters of several views together."""
        return cls(*(torch.stack([getattr(view, name) for view in views]) for name in cls.__dataclass_fields__))

    @classmethod
    def join(cls, groups: Sequence["Photometry"]) -> Self:
        """Parameters of groups of views, one group after the other."""
        return cls(*(torch.cat([getattr(group, name) for group in groups]) for name in cls.__dataclass_fields__))

    def part(self, rows: slice) -> "Photometry":
        """Parameters of some of the views."""
        return Photometry(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def draw_photometry(generator: np.random.Generator, view: int, settings: ViewSettings) -> Photometry:
    """Parameters of one view; from the third view on, probabilities are those of the first."""
    chances = view if view < len(settings.blur) else 0
    widest = np.array([settings.brightness, settings.contrast, settings.saturation, settings.hue])
    factors = np.array([1.0, 1.0, 1.0, 0.0]) + widest * generator.uniform(-1.0, 1.0, 4)
    order = generator.permutation(4)
    jittered, grey, blurred, solarized = generator.random(4) < (settings.jitter, settings.grey, settings.blur[chances], settings.solarize[chances])
    sigma = generator.uniform(settings.blur_sigma[0], settings.blur_sigma[1])
    return Photometry(
        torch.tensor(factors, dtype=torch.float32),
        torch.tensor(order if jittered else np.full(4, -1)),
        torch.tensor(bool(grey)),
        torch.tensor(sigma if blurred else 0.0, dtype=torch.float32),
        torch.tensor(bool(solarized)),
    )


def augment(images: Tensor, photometry: Photometry, kernel: int) -> Tensor:
    """Jitter, grey, blur, solarise, in BYOL's order.

    Args:
        images: [B, 3, H, W] RGB in [0, 1].
        photometry: parameters of these images, on the CPU.
        kernel: side of the blur's kernel, pixels, odd; less than twice the side of the images.

    Returns:
        [B, 3, H, W] in [0, 1].
    """
    images = images.clone()
    for place in range(photometry.order.shape[1]):
        for number, operation in enumerate(_JITTER):
            _apply(images, photometry.order[:, place] == number, operation, photometry.factors[:, number])
    _apply(images, photometry.grey, lambda some, _: rgb_to_grayscale(some, num_output_channels=3), photometry.sigma)
    _apply(images, photometry.sigma > 0, lambda some, sigma: _blurred(some, sigma, kernel), photometry.sigma)
    _apply(images, photometry.solarized, lambda some, _: solarize(some, 0.5), photometry.sigma)
    return images


def normalised_views(images: Tensor) -> Tensor:
    """Images [B, 3, H, W] in [0, 1] with ImageNet's mean and deviation removed, as backbones want them."""
    mean, std = (images.new_tensor(values).view(3, 1, 1) / 255.0 for values in (MEAN, STD))
    return (images - mean) / std


def _apply(images: Tensor, chosen: Tensor, operation: Callable[[Tensor, Tensor], Tensor], values: Tensor) -> None:
    """Replace the chosen images; rows are found on the CPU, so that a GPU is not waited for."""
    rows = chosen.nonzero()[:, 0]
    if len(rows):
        places = rows.to(images.device)
        images[places] = operation(images[places], values[rows].to(images))


def _blend(images: Tensor, others: Tensor, factors: Tensor) -> Tensor:
    return torch.lerp(others, images, factors.view(-1, 1, 1, 1)).clamp(0.0, 1.0)


def _brightness(images: Tensor, factors: Tensor) -> Tensor:
    return (images * factors.view(-1, 1, 1, 1)).clamp(0.0, 1.0)


def _contrast(images: Tensor, factors: Tensor) -> Tensor:
    return _blend(images, rgb_to_grayscale(images).mean(dim=(1, 2, 3), keepdim=True).expand_as(images), factors)


def _saturation(images: Tensor, factors: Tensor) -> Tensor:
    return _blend(images, rgb_to_grayscale(images).expand_as(images), factors)


def _hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of the HSV colours; each channel is v - c * clamp(min(k, 4 - k), 0, 1) with k = (n + 6 hue) mod 6, n = 5, 3, 1."""
    red, green, blue = images.unbind(dim=1)
    value, strongest = images.max(dim=1)
    chroma = value - images.min(dim=1).values
    safe = chroma.clamp(min=1e-12)
    candidates = torch.stack([(green - blue) / safe, (blue - red) / safe + 2.0, (red - green) / safe + 4.0], dim=1)
    sixths = candidates.gather(1, strongest.unsqueeze(1)) + 6.0 * turns.view(-1, 1, 1, 1)
    k = (sixths + sixths.new_tensor([5.0, 3.0, 1.0]).view(1, 3, 1, 1)) % 6.0
    return value.unsqueeze(1) - chroma.unsqueeze(1) * torch.minimum(k, 4.0 - k).clamp(0.0, 1.0)


def _blurred(images: Tensor, sigma: Tensor, kernel: int) -> Tensor:
    """Gaussian blur, deviation [B] in pixels, borders reflected: two one-dimensional convolutions, a group for each channel."""
    count, channels, height, width = images.shape
    places = torch.arange(kernel, device=images.device, dtype=images.dtype) - kernel // 2
    weights = (-0.5 * (places / sigma.view(-1, 1)) ** 2).exp()
    weights = (weights / weights.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    margin = kernel // 2
    planes = F.pad(images, (margin, margin, margin, margin), mode="reflect").reshape(1, count * channels, height + 2 * margin, width + 2 * margin)
    planes = F.conv2d(planes, weights.view(-1, 1, kernel, 1), groups=count * channels)
    return F.conv2d(planes, weights.view(-1, 1, 1, kernel), groups=count * channels).reshape(images.shape)


_JITTER: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (_brightness, _contrast, _saturation, _hue)
