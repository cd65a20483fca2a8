"""Twins of `iou` and `nms` for tensors of rotated boxes: on any device, in the type of the tensors; the IoU is differentiable."""

import torch
from torch import Tensor

from mutdet.geometry.rotated_boxes_torch import corners

_PAIRS_AT_ONCE = 1 << 20
"""Pairs whose 16 pairs of edges are held in memory at once: 128 MiB for every float64 of them."""
_COMPARISONS_AT_ONCE = 1 << 26
"""Comparisons of horizontal boxes held in memory at once."""


def rotated_iou_pairs(a: Tensor, b: Tensor) -> Tensor:
    """[M] IoU, 0 to 1, of the rotated boxes a[i] and b[i], both [M, 5] (cx, cy, w, h, angle); 0 where neither has an area.

    The sum over pairs of edges of `mutdet.geometry.polygons.intersection_areas`, corners relative to the centre of a[i].
    In float64 as exact as that; in float32 near-identical boxes lose digits, so use float64 to evaluate.
    """
    parts = [_iou(first, second) for first, second in zip(a.split(_PAIRS_AT_ONCE), b.split(_PAIRS_AT_ONCE), strict=True)]
    return torch.cat(parts)


def rotated_iou(a: Tensor, b: Tensor) -> Tensor:
    """[M, N] IoU between rotated boxes a [M, 5] and b [N, 5]; only pairs whose horizontal boxes overlap are computed."""
    rows, columns = overlapping_pairs(a, b)
    return a.new_zeros(len(a), len(b)).index_put((rows, columns), rotated_iou_pairs(a[rows], b[columns]))


def overlapping_pairs(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Indices (i, j), sorted, of the rotated boxes a [M, 5] and b [N, 5] whose horizontal boxes touch or overlap."""
    first, second = _outlines(a), _outlines(b)
    step = max(1, _COMPARISONS_AT_ONCE // max(len(b), 1))
    found = [_touching(part, second) + part.new_tensor([start, 0], dtype=torch.long) for start, part in _blocks(first, step)]
    rows, columns = torch.cat(found).unbind(1)
    return rows, columns


def rotated_nms(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """Indices of the kept boxes in descending score; exact, deterministic and without a transfer per box.

    A box goes when its IoU with a kept box of higher score (of equal score and lower index) is greater than `threshold`.

    Args:
        boxes: [M, 5] rotated boxes.
        scores: [M] finite scores.
        threshold: IoU, 0 to 1.
    """
    order = torch.sort(scores, descending=True, stable=True).indices
    ordered = boxes[order]
    rows, columns = overlapping_pairs(ordered, ordered)
    rows, columns = rows[rows < columns], columns[rows < columns]
    conflict = rotated_iou_pairs(ordered[rows], ordered[columns]) > threshold
    return order[_kept(len(boxes), rows[conflict], columns[conflict])]


def _kept(count: int, stronger: Tensor, weaker: Tensor) -> Tensor:
    """[count] flags: kept unless in conflict with a kept stronger box. Settled ranks grow by one at least in every turn, so that the turns end."""
    keep = torch.ones(count, dtype=torch.bool, device=stronger.device)
    while True:
        settled = torch.ones_like(keep)
        settled[weaker[keep[stronger]]] = False
        if torch.equal(settled, keep):
            return keep
        keep = settled


def _blocks(boxes: Tensor, step: int) -> list[tuple[int, Tensor]]:
    return [(start, boxes[start : start + step]) for start in range(0, max(len(boxes), 1), step)]


def _outlines(boxes: Tensor) -> Tensor:
    """[M, 4] smallest and largest coordinates (x0, y0, x1, y1)."""
    points = corners(boxes)
    return torch.cat([points.amin(1), points.amax(1)], dim=1)


def _touching(a: Tensor, b: Tensor) -> Tensor:
    """[P, 2] indices of the horizontal boxes a [M, 4] and b [N, 4] that touch or overlap."""
    low, high = (a[:, None, :2] <= b[None, :, 2:]).all(-1), (b[None, :, :2] <= a[:, None, 2:]).all(-1)
    return torch.nonzero(low & high)


def _iou(a: Tensor, b: Tensor) -> Tensor:
    origin = torch.cat([a[:, :2], torch.zeros_like(a[:, 2:])], dim=1)
    common = _common_areas(corners(a - origin), corners(b - origin))
    union = a[:, 2] * a[:, 3] + b[:, 2] * b[:, 3] - common
    ratio = common / torch.where(union > 0, union, torch.ones_like(union))
    return torch.where(union > 0, ratio, torch.zeros_like(ratio)).nan_to_num(0.0).clamp(0, 1)


def _common_areas(a: Tensor, b: Tensor) -> Tensor:
    """[M] common areas of quadrilaterals [M, 4, 2], corners clockwise on the screen."""
    left_a, right_a, start_a, slope_a, turn_a = (part[:, :, None] for part in _edges(a))
    left_b, right_b, start_b, slope_b, turn_b = (part[:, None, :] for part in _edges(b))
    left, right = torch.maximum(left_a, left_b), torch.minimum(right_a, right_b)
    a_left, a_right = start_a + slope_a * (left - left_a), start_a + slope_a * (right - left_a)
    gap_left, gap_right = start_b + slope_b * (left - left_b) - a_left, start_b + slope_b * (right - left_b) - a_right
    below = gap_left.clamp(max=0) + gap_right.clamp(max=0)
    spread = gap_left.abs() + gap_right.abs()
    lowered = below.square() / torch.where(spread > 0, spread, torch.ones_like(spread))
    strips = turn_a * turn_b * (right - left).clamp(min=0) * (a_left + a_right - lowered) / 2
    return strips.sum((1, 2))


def _edges(points: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Of the edges of quadrilaterals [M, 4, 2], each [M, 4]: left and right end, y at the left end, slope, and 1 if it runs to the right, else -1."""
    begin, end = points, points.roll(-1, 1)
    rightwards = (end[..., 0] > begin[..., 0])[..., None]
    left, right = torch.where(rightwards, begin, end), torch.where(rightwards, end, begin)
    width = right[..., 0] - left[..., 0]
    slope = torch.where(width > 0, right[..., 1] - left[..., 1], torch.zeros_like(width)) / torch.where(width > 0, width, torch.ones_like(width))
    return left[..., 0], right[..., 0], left[..., 1], slope, rightwards[..., 0].to(points.dtype) * 2 - 1
