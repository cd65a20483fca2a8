"""Hungarian matching of predictions and objects."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from mutdet.nn.batch_targets import BatchTargets
from mutdet.nn.box_coding import generalised_iou, isotropic
from mutdet.settings.detectors import DetectorSettings

FORBIDDEN = 1e8
"""Cost of a pair that must not be: above any real cost, small enough to add up exactly."""
ALPHA, GAMMA = 0.25, 2.0
EPS = 1e-12


@dataclass(frozen=True)
class Matches:
    """P pairs of a prediction and an object.

    Attributes:
        image: [P] int64.
        query: [P] prediction within the image.
        target: [P] object, counted over the whole batch in the order of its images.
    """

    image: Tensor
    query: Tensor
    target: Tensor

    def __len__(self) -> int:
        return len(self.query)


@torch.no_grad()
def match(tables: Sequence[Tensor], targets: BatchTargets) -> list[list[Matches]]:
    """Best one-to-one pairs in every layer and image, at most min(Q, M) in each.

    All tables leave the device together and all pairs come back together, so that a GPU waits once; images are solved on as many threads as PyTorch may use.

    Args:
        tables: costs [layers, B, Q, M] as `pair_costs` gives them; Q and the number of layers may differ.
        targets: objects of the batch.

    Returns:
        For every table one `Matches` per layer.
    """
    flat = torch.cat([table.flatten() for table in tables])
    # A diverged model gives costs that are not finite; the training's own check reports it, matching must not crash first.
    numbers = torch.nan_to_num(flat, nan=FORBIDDEN, posinf=FORBIDDEN, neginf=-FORBIDDEN).cpu().numpy()
    parts = np.split(numbers, np.cumsum([table.numel() for table in tables])[:-1])
    layers = [layer for part, table in zip(parts, tables, strict=True) for layer in part.reshape(table.shape)]
    images = list(enumerate(zip(targets.counts, targets.firsts, strict=True)))
    solved = _solve([(cost, number, count, first) for layer in layers for cost, (number, (count, first)) in zip(layer, images, strict=True)])
    per_layer = [np.concatenate(solved[start : start + len(images)], axis=1) for start in range(0, len(solved), len(images))]
    pairs = torch.from_numpy(np.concatenate(per_layer, axis=1)).to(flat.device).split([part.shape[1] for part in per_layer], dim=1)
    matches = iter([Matches(*part) for part in pairs])
    return [[next(matches) for _ in table] for table in tables]


Problem = tuple[NDArray[np.floating], int, int, int]
"""Costs [Q, M] of an image, its number, how many of the M columns are objects, and the row of the first in the batch."""


def _solve(problems: Sequence[Problem]) -> list[NDArray[np.int64]]:
    threads = min(torch.get_num_threads(), len(problems))
    if threads <= 1:
        return list(map(_pairs, problems))
    return list(_pool(threads).map(_pairs, problems))


def _pairs(problem: Problem) -> NDArray[np.int64]:
    """[3, P] image, query and target of the pairs of an image."""
    cost, number, count, first = problem
    rows, columns = linear_sum_assignment(cost[:, :count])
    kept = cost[rows, columns] < FORBIDDEN
    rows, columns = rows[kept], columns[kept]
    return np.stack([np.full(len(rows), number), rows, columns + first]).astype(np.int64)


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "matching")


@torch.no_grad()
def pair_costs(logits: Tensor, boxes: Tensor, angle_logits: Tensor, targets: BatchTargets, settings: DetectorSettings, valid: Tensor | None = None) -> Tensor:
    """[layers, B, Q, M] cost of every pair: focal, L1, generalised IoU and angle, weighted.

    Args:
        logits: [layers, B, Q, N].
        boxes: [layers, B, Q, 4] normalised.
        angle_logits: [layers, B, Q, A].
        targets: objects of the batch.
        settings: cost weights.
        valid: [B, Q] False for predictions that may not be matched.
    """
    target_boxes = targets.pad(targets.boxes)
    scales = targets.scales[:, None]
    overlap = generalised_iou(isotropic(boxes, scales)[..., :, None, :], isotropic(target_boxes, scales)[:, None])
    distance = torch.cdist(boxes, target_boxes.expand(len(boxes), -1, -1, -1), p=1)
    costs = (
        settings.class_cost * _class_cost(logits, targets)
        + settings.box_cost * distance
        - settings.giou_cost * overlap
        + settings.angle_cost * _angle_cost(angle_logits, targets)
    )
    return costs if valid is None else costs.masked_fill(~valid[..., None], FORBIDDEN)


def _class_cost(logits: Tensor, targets: BatchTargets) -> Tensor:
    """Change of the focal loss if the object's class were the target (Zhu et al. 2021)."""
    probability = logits.sigmoid()
    positive = -ALPHA * (1 - probability) ** GAMMA * (probability + EPS).log()
    negative = -(1 - ALPHA) * probability**GAMMA * (1 - probability + EPS).log()
    labels = targets.pad(targets.labels)[None, :, None].expand(*logits.shape[:3], -1)
    return (positive - negative).gather(-1, labels)


def _angle_cost(angle_logits: Tensor, targets: BatchTargets) -> Tensor:
    """Distance of angles in the coding, times the object's angle weight."""
    return targets.coding.pair_costs(angle_logits, targets.pad(targets.angle_labels)) * targets.pad(targets.angle_weights)[:, None]
