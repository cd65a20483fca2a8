"""Objects of a batch in the form that matching, losses and denoising read."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mutdet.nn.angles import AngleCoding
from mutdet.nn.box_coding import box_scales
from mutdet.nn.ranks import largest_over_ranks

SMALLEST_SIDE = 1e-3
"""Pixels; keeps the aspect ratio of a degenerate box finite."""


@dataclass(frozen=True)
class BatchTargets:
    """All objects of a batch, one image after the other; G is their number.

    Attributes:
        boxes: [G, 4] normalised.
        angles: [G] radians.
        labels: [G] int64.
        angle_labels: [G, A] what the coding asks of a head's outputs.
        angle_weights: [G] how much each object's angle counts.
        image: [G] image that the object belongs to.
        slot: [G] position of the object within its image.
        scales: [B, 4] pixels per unit of the normalised boxes of each image.
        counts: objects of each image.
        most: M, objects of the fullest image of all processes.
        coding: how angles are expressed.
    """

    boxes: Tensor
    angles: Tensor
    labels: Tensor
    angle_labels: Tensor
    angle_weights: Tensor
    image: Tensor
    slot: Tensor
    scales: Tensor
    counts: tuple[int, ...]
    most: int
    coding: AngleCoding

    @property
    def firsts(self) -> list[int]:
        """Row of each image's first object."""
        return [sum(self.counts[:image]) for image in range(len(self.counts))]

    def pad(self, rows: Tensor) -> Tensor:
        """[G, ...] to [B, M, ...], zero where an image has fewer objects."""
        padded = rows.new_zeros((len(self.counts), self.most, *rows.shape[1:]))
        padded[self.image, self.slot] = rows
        return padded


def collect_targets(boxes: Sequence[Tensor], labels: Sequence[Tensor], sizes: Tensor, coding: AngleCoding, dtype: torch.dtype = torch.float32) -> BatchTargets:
    """Gather the objects of B images.

    Args:
        boxes: per image [M, 5] pixels, le90.
        labels: per image [M] int64.
        sizes: [B, 2] height and width, pixels.
        coding: how angles are expressed.
        dtype: of the numbers, that of the predictions they are compared with.
    """
    counts = tuple(len(part) for part in boxes)
    device = sizes.device
    image = torch.repeat_interleave(torch.arange(len(counts), device=device), torch.tensor(counts, device=device), output_size=sum(counts))
    slot = torch.cat([torch.arange(count, device=device) for count in counts])
    joined = torch.cat([part.reshape(-1, 5) for part in boxes]).to(device, dtype)
    scales = box_scales(sizes)
    sides = joined[:, 2:4].clamp(min=SMALLEST_SIDE)
    angle_labels, angle_weights = coding.targets(joined[:, 4], sides.amax(-1) / sides.amin(-1))
    return BatchTargets(
        boxes=joined[:, :4] / scales[image],
        angles=joined[:, 4],
        labels=torch.cat([part.reshape(-1) for part in labels]).to(device),
        angle_labels=angle_labels,
        angle_weights=angle_weights,
        image=image,
        slot=slot,
        scales=scales,
        counts=counts,
        most=largest_over_ranks(max(counts, default=0), device),
        coding=coding,
    )
