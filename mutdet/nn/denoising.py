"""Contrastive denoising: noised objects as extra queries (DINO, with ARS-DETR's angle noise)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mutdet.nn.batch_targets import BatchTargets
from mutdet.nn.matcher import Matches
from mutdet.settings.detectors import DetectorSettings

Generators = Sequence[torch.Generator]


@dataclass(frozen=True)
class DenoisingQueries:
    """T = groups * 2 * M queries; query (group * 2 + negative) * M + slot is made from the object in that slot of its image.

    Attributes:
        content: [B, T, C] embeddings of the (partly flipped) labels.
        boxes: [B, T, 4] normalised.
        angles: [B, T] radians.
        present: [B, T] False where the image has fewer than M objects.
        positives: the positive copies of every object, every group of every image.
        groups: number of groups.
    """

    content: Tensor
    boxes: Tensor
    angles: Tensor
    present: Tensor
    positives: Matches
    groups: int

    def __len__(self) -> int:
        return self.content.shape[1]


def make_denoising_queries(targets: BatchTargets, embedding: nn.Embedding, settings: DetectorSettings, generators: Generators) -> DenoisingQueries | None:
    """Noised copies of the objects of a batch; None if there are no objects or denoising is off.

    Args:
        targets: objects of the batch.
        embedding: content of the query of each class, N rows.
        settings: number of queries and strength of noise.
        generators: one per image, on the CPU, so that noise does not depend on the device; of the batch it depends on the most objects of an image alone.
    """
    most = targets.most
    if most == 0 or settings.denoising_queries == 0:
        return None
    groups = max(1, settings.denoising_queries // most)

    def copies(rows: Tensor) -> Tensor:
        """[G, ...] to [B, groups, 2, M, ...]."""
        return targets.pad(rows)[:, None, None].expand(-1, groups, 2, *[-1] * rows.ndim)

    labels, boxes, angles = copies(targets.labels), copies(targets.boxes), copies(targets.angles)
    labels = _flip_labels(labels, embedding.num_embeddings, settings.denoising_label_noise, generators)
    boxes = _shift_sides(boxes, targets.scales[:, None, None, None], settings.denoising_box_noise, generators)
    angles = angles + _signed_noise(angles, generators) * settings.denoising_angle_noise * math.pi / 2
    present = targets.pad(torch.ones_like(targets.labels, dtype=torch.bool))
    return DenoisingQueries(
        content=embedding(labels.flatten(1)),
        boxes=boxes.flatten(1, 3),
        angles=((angles + math.pi / 2) % math.pi - math.pi / 2).flatten(1),
        present=present.repeat(1, 2 * groups),
        positives=_positives(targets, groups),
        groups=groups,
    )


def _flip_labels(labels: Tensor, classes: int, share: float, generators: Generators) -> Tensor:
    flip = _uniform(labels, generators) < share
    drawn = _integers(classes, labels, generators)
    return torch.where(flip.to(labels.device), drawn.to(labels.device), labels)


def _uniform(like: Tensor, generators: Generators) -> Tensor:
    return torch.stack([torch.rand(part.shape, generator=generator) for part, generator in zip(like, generators, strict=True)])


def _integers(end: int, like: Tensor, generators: Generators) -> Tensor:
    return torch.stack([torch.randint(0, end, part.shape, generator=generator) for part, generator in zip(like, generators, strict=True)])


def _signed_noise(like: Tensor, generators: Generators) -> Tensor:
    """U(0, 1) in positives, U(1, 2) in negatives, of either sign; dimension 2 tells positives from negatives."""
    size = _uniform(like, generators)
    size[:, :, 1] += 1
    sign = _integers(2, like, generators) * 2 - 1
    return (size * sign).to(like.device)


def _shift_sides(boxes: Tensor, scales: Tensor, strength: float, generators: Generators) -> Tensor:
    """Move each side of the unrotated boxes by `strength` half sides.

    Boxes are not cut at the image's edges: the unrotated box of a rotated object says little about where it lies.
    """
    pixels = boxes * scales
    half = pixels[..., 2:] / 2
    noise = _signed_noise(pixels, generators) * strength
    start = pixels[..., :2] - half + noise[..., :2] * half
    end = pixels[..., :2] + half + noise[..., 2:] * half
    return (torch.cat([(start + end) / 2, end - start], dim=-1) / scales).clamp(0.0, 1.0)


def _positives(targets: BatchTargets, groups: int) -> Matches:
    """Copies of the objects in the order of groups, and of objects within each."""
    starts = torch.arange(groups, device=targets.image.device) * 2 * targets.most
    objects = torch.arange(len(targets.image), device=targets.image.device)
    return Matches(targets.image.repeat(groups), (starts[:, None] + targets.slot).flatten(), objects.repeat(groups))


def attention_mask(denoising: DenoisingQueries, queries: int) -> Tensor:
    """[B, T + Q, T + Q] True where a query (row) may see another (column).

    Matching queries do not see denoising ones; these see matching ones and their own group, and nobody sees absent ones.
    """
    device = denoising.present.device
    count = len(denoising)
    group = torch.cat([torch.arange(count, device=device) // (count // denoising.groups), torch.full((queries,), -1, device=device)])
    seen = (group[:, None] == group) | (group == -1)
    present = torch.nn.functional.pad(denoising.present, (0, queries), value=True)
    return seen & present[:, None]
