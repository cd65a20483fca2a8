"""AlignDet's contrast between the boxes of two views (docs/method.md G)."""

import torch
from torch import Tensor
from torch.nn import functional

from mutdet.nn.full_precision import full_precision
from mutdet.nn.ranks import share_of_count

BACKGROUND = -1
"""Id of a box that stands for no instance; no instance has it."""


def box_contrast(online: Tensor, online_ids: Tensor, average: Tensor, average_ids: Tensor, temperature: float) -> Tensor:
    """Mean over instances of the mean over their pairs of -log(e^(q k / t) / (e^(q k / t) + sum over n of e^(q n / t))).

    For instance i, q are the online boxes with its id; k the averaged detector's, or the online ones where that has none; n all boxes of both
    views with another id, background included. Other positives of i are never in a denominator. Only q has a gradient.

    Args:
        online: [R, D] vectors of the trained detector's boxes, all images together.
        online_ids: [R] instance of each, unique over the batch, or `BACKGROUND`.
        average: [S, D] of the averaged detector.
        average_ids: [S] likewise.
        temperature: t > 0.

    Returns:
        Scalar; zero, with a gradient of zero, where no online box has an instance.
    """
    rows = online_ids != BACKGROUND
    own = online_ids[rows]
    count = share_of_count(len(own.unique()), online.device)
    if not rows.any():
        return online.sum() * 0.0
    unit = functional.normalize(online.float(), dim=-1)
    others = torch.cat([functional.normalize(average.float(), dim=-1), unit]).detach()
    ids = torch.cat([average_ids, online_ids])
    same = own[:, None] == ids
    with full_precision(unit.device):
        similarity = unit[rows] @ others.T / temperature
    negatives = similarity.masked_fill(same, -torch.inf).logsumexp(dim=1, keepdim=True)
    pairs = same & _is_key(same, len(average))
    share = pairs / _pairs_of_instance(pairs, own)
    loss = functional.softplus(negatives - similarity)
    return (loss * share).sum() / count


def _is_key(same: Tensor, average: int) -> Tensor:
    """[r, S + R] True for boxes that may be keys of an online box: the averaged detector's, or online ones where none of those is of its instance."""
    found = same[:, :average].any(dim=1, keepdim=True)
    from_average = torch.arange(same.shape[1], device=same.device) < average
    return torch.where(found, from_average, ~from_average)


def _pairs_of_instance(pairs: Tensor, own: Tensor) -> Tensor:
    """[r, 1] number of pairs of each online box's instance."""
    counts = pairs.sum(dim=1)
    _, group = own.unique(return_inverse=True)
    return counts.new_zeros(int(group.max()) + 1).index_add(0, group, counts)[group][:, None]
