"""Hungarian matching of predictions and objects."""

from dataclasses import dataclass

import torch
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
def match(logits: Tensor, boxes: Tensor, angle_logits: Tensor, targets: BatchTargets, settings: DetectorSettings, valid: Tensor | None = None) -> list[Matches]:
    """Best one-to-one pairs in every layer and image, at most min(Q, M) in each.

    Args:
        logits: [layers, B, Q, N].
        boxes: [layers, B, Q, 4] normalised.
        angle_logits: [layers, B, Q, A].
        targets: objects of the batch.
        settings: cost weights.
        valid: [B, Q] False for predictions that may not be matched.

    Returns:
        One `Matches` per layer.
    """
    costs = pair_costs(logits, boxes, angle_logits, targets, settings)
    if valid is not None:
        costs = costs.masked_fill(~valid[..., None], FORBIDDEN)
    # A diverged model gives costs that are not finite; the training's own check reports it, matching must not crash first.
    table = torch.nan_to_num(costs, nan=FORBIDDEN, posinf=FORBIDDEN, neginf=-FORBIDDEN).cpu().numpy()
    device = boxes.device
    matches = []
    for layer in table:
        image: list[int] = []
        query: list[int] = []
        target: list[int] = []
        for number, (cost, count, first) in enumerate(zip(layer, targets.counts, targets.firsts, strict=True)):
            rows, columns = linear_sum_assignment(cost[:, :count])
            kept = cost[rows, columns] < FORBIDDEN
            image += [number] * int(kept.sum())
            query += rows[kept].tolist()
            target += (columns[kept] + first).tolist()
        matches.append(Matches(*(torch.tensor(part, dtype=torch.int64, device=device) for part in (image, query, target))))
    return matches


def pair_costs(logits: Tensor, boxes: Tensor, angle_logits: Tensor, targets: BatchTargets, settings: DetectorSettings) -> Tensor:
    """[layers, B, Q, M] cost of every pair (arguments as in `match`): focal, L1, generalised IoU and angle, weighted."""
    target_boxes = targets.pad(targets.boxes)
    scales = targets.scales[:, None]
    overlap = generalised_iou(isotropic(boxes, scales)[..., :, None, :], isotropic(target_boxes, scales)[:, None])
    distance = torch.cdist(boxes, target_boxes.expand(len(boxes), -1, -1, -1), p=1)
    return (
        settings.class_cost * _class_cost(logits, targets)
        + settings.box_cost * distance
        - settings.giou_cost * overlap
        + settings.angle_cost * _angle_cost(angle_logits, targets)
    )


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
