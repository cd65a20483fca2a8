"""Normalised boxes: the centre by the image's width and height, both sides by the longer of the two.

The sides of a rotated box lie along no axis of the image, so they share one scale; for square images this is the
released code's division by (W, H, W, H), which distorts rotated boxes in all others (docs/method.md E 8).
"""

import torch
from torch import Tensor


def box_scales(sizes: Tensor) -> Tensor:
    """[B, 4] pixels per unit of (cx, cy, w, h) for images of [B, 2] (height, width)."""
    height, width = sizes.float().unbind(-1)
    side = torch.maximum(height, width)
    return torch.stack([width, height, side, side], dim=-1)


def isotropic(boxes: Tensor, scales: Tensor) -> Tensor:
    """Normalised boxes [..., 4] with the centre, too, in units of the longer side, so that overlaps are those in pixels."""
    return boxes * (scales / scales[..., 2:3])


def inverse_sigmoid(values: Tensor, eps: float = 1e-5) -> Tensor:
    """Logits of values in [0, 1], cut to [eps, 1 - eps]."""
    return torch.logit(values.clamp(0.0, 1.0), eps=eps)


def to_corners(boxes: Tensor) -> Tensor:
    """[..., 4] (cx, cy, w, h), rotation ignored, to (x1, y1, x2, y2)."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def generalised_iou(a: Tensor, b: Tensor) -> Tensor:
    """Generalised IoU (Rezatofighi et al. 2019) of horizontal boxes (cx, cy, w, h), broadcast over the leading dimensions.

    Returns:
        [...] in (-1, 1]; finite for boxes without area.
    """
    a, b = to_corners(a), to_corners(b)
    inner = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    outer = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - inner
    tiny = torch.finfo(a.dtype).eps ** 2
    return inner / union.clamp(min=tiny) - (outer - union) / outer.clamp(min=tiny)
