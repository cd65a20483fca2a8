"""Crops of rotated boxes: rotated RoI-align on the image itself (docs/method.md A)."""

import torch
from torch import Tensor
from torch.nn import functional as F

SAMPLES = 2


def rotated_crops(image: Tensor, boxes: Tensor, size: int, enlarge: float = 1.0) -> Tensor:
    """Resample every box to a square; its long side lies along x, aspect is not kept. Compiled on a CPU, where no gradient is asked for.

    Each output pixel is the mean of 2 x 2 bilinear samples, as RoI-align with sampling ratio 2 and aligned pixel
    centres takes them: a sample up to one pixel outside the image takes the border's value, one further out is 0.

    Args:
        image: [C, H, W] float32.
        boxes: [M, 5] cx, cy, w, h in pixels of the image (pixel i covers [i, i + 1)), angle in radians, clockwise.
        size: side of a crop, pixels.
        enlarge: factor on w and h before cropping.

    Returns:
        [M, C, size, size] crops.
    """
    if image.device.type == "cpu" and image.dtype == torch.float32 and not image.requires_grad:
        return _crops_on_cpu(image, boxes, size, enlarge)
    return plain_rotated_crops(image, boxes, size, enlarge)


def _crops_on_cpu(image: Tensor, boxes: Tensor, size: int, enlarge: float) -> Tensor:
    from mutdet.embedding.crop_kernel import add_samples  # stages that cut nothing need not wait for the compiler

    crops = image.new_zeros(len(boxes), len(image), size, size)
    add_samples(image.contiguous().numpy(), boxes.double().numpy(), enlarge, SAMPLES, crops.numpy())
    return crops


def plain_rotated_crops(image: Tensor, boxes: Tensor, size: int, enlarge: float = 1.0) -> Tensor:
    """`rotated_crops` in plain PyTorch, for any device and type, with gradients."""
    points = _sample_points(boxes, size * SAMPLES, enlarge)
    height, width = image.shape[-2:]
    scale = points.new_tensor([width, height])
    samples = F.grid_sample(image.expand(len(boxes), -1, -1, -1), points * 2 / scale - 1, mode="bilinear", padding_mode="border", align_corners=False)
    near = ((points >= -0.5) & (points <= scale + 0.5)).all(-1)
    return F.avg_pool2d(samples * near[:, None], SAMPLES)


def _sample_points(boxes: Tensor, count: int, enlarge: float) -> Tensor:
    """[M, count, count, 2] x, y of a regular grid inside every box, pixels."""
    steps = (torch.arange(count, device=boxes.device, dtype=boxes.dtype) + 0.5) / count - 0.5
    dx = (steps * enlarge)[None, None, :] * boxes[:, 2, None, None]
    dy = (steps * enlarge)[None, :, None] * boxes[:, 3, None, None]
    cosine, sine = (turn(boxes[:, 4])[:, None, None] for turn in (torch.cos, torch.sin))
    x = boxes[:, 0, None, None] + dx * cosine - dy * sine
    y = boxes[:, 1, None, None] + dx * sine + dy * cosine
    return torch.stack([x, y], dim=-1)
