"""Aspect-ratio-aware circular smooth label: an angle as a soft target over bins of one degree (ARS-DETR; docs/method.md B)."""

import math

import torch
from torch import Tensor


def aspect_ratio_aware_label(angle: Tensor, aspect_ratio: Tensor, bins: int = 180) -> Tensor:
    """Soft targets of angles (AR-CSL).

    The bin `offset` bins away from the angle's own receives the IoU of two concentric rectangles of the given aspect ratio turned against
    each other by that offset, stretched so that the least is 0 and the peak 1.

    Args:
        angle: [M] radians in [-pi/2, pi/2).
        aspect_ratio: [M] longer over shorter side, at least 1.
        bins: number of bins over half a turn, from -pi/2 upwards.

    Returns:
        [M, bins] targets in [0, 1], of the angle's type and device.
    """
    offsets = torch.arange(bins, device=angle.device) - bins // 2
    iou = concentric_iou(offsets.abs().double() * (math.pi / bins), aspect_ratio[:, None])
    least = iou.amin(dim=1, keepdim=True)
    stretched = ((iou - least) / (1 - least)).to(angle.dtype)
    # rounding must not carry an angle at one end of the range into the bin at the other
    own = torch.floor((angle.double() / math.pi + 0.5) * bins).long().clamp(0, bins - 1)
    return torch.zeros_like(stretched).scatter_(1, (own[:, None] + offsets) % bins, stretched)


def concentric_iou(turn: Tensor, aspect_ratio: Tensor) -> Tensor:
    """IoU of two concentric rectangles of one size, turned against each other.

    The published expressions in tan(t) and 1/cos(t), rewritten in tan(t/2): they stay finite up to a right angle for every aspect ratio.

    Args:
        turn: radians in [0, pi/2].
        aspect_ratio: longer over shorter side, at least 1; broadcasts with `turn`.

    Returns:
        float64 values in (0, 1].
    """
    k, half = aspect_ratio.double().clamp(min=1), torch.tan(turn.double() / 2)
    # beyond the critical angle (half > 1/k) the rectangles cross like two strips
    strips = 1 / (2 * k * torch.sin(turn.double()) - 1)
    # the square of k = 1 at a right angle makes both numerator and denominator 0
    width = (1 - half**2).clamp(min=torch.finfo(torch.float64).tiny)
    lost = half * ((1 - k * half) ** 2 + (k - half) ** 2) / (2 * k * width)
    return torch.where(half * k > 1, strips, (1 - lost) / (1 + lost))


def decode_angle(logits: Tensor) -> Tensor:
    """[...] angles in radians, centres of the highest of the bins in logits [..., bins]."""
    return ((logits.argmax(dim=-1) + 0.5) / logits.shape[-1] - 0.5) * math.pi
