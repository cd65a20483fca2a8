"""Self-EMD's loss between two feature maps, taken as sets of nodes."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.functional import normalize

from mutdet.pretraining.selfsup.sinkhorn import transport_plan

_FLOOR = 1e-3
_POOL = 3


def map_nodes(features: Tensor, strides: Sequence[int] = ()) -> Tensor:
    """Nodes of a map: its places, and those of its 3 x 3 average poolings (7 x 7 with strides 1 and 2: 49 + 25 + 9 = 83).

    Args:
        features: [B, C, H, W].
        strides: of the poolings; a map smaller than 3 x 3 is not pooled.

    Returns:
        [B, N, C].
    """
    maps = [features]
    if min(features.shape[2:]) >= _POOL:
        maps += [F.avg_pool2d(features, _POOL, stride) for stride in strides]
    return torch.cat([part.flatten(2) for part in maps], dim=2).transpose(1, 2)


def marginal_weights(nodes: Tensor, reference: Tensor) -> Tensor:
    """Weight of every node: its cosine with a vector of the other view, at least 0 (Eq. 13); 0.001 is added, then the sum made 1.

    Args:
        nodes: [B, N, C].
        reference: [B, C].

    Returns:
        [B, N].
    """
    likeness = torch.einsum("bnc,bc->bn", normalize(nodes, dim=-1), normalize(reference, dim=-1))
    weights = likeness.clamp(min=0.0) + _FLOOR
    return weights / weights.sum(dim=-1, keepdim=True)


def uniform_weights(nodes: Tensor) -> Tensor:
    """[B, N] equal weights of nodes [B, N, C]."""
    return nodes.new_full(nodes.shape[:2], 1.0 / nodes.shape[1])


def transport_distance(nodes: Tensor, targets: Tensor, rows: Tensor, columns: Tensor, sharpness: float, iterations: int) -> Tensor:
    """Mean of 2 - 2 <plan, cosine> over a batch, in [0, 4]; the gradient passes through the cosines of `nodes` alone, not through the plan.

    Args:
        nodes: [B, N, C] float32.
        targets: [B, M, C] float32, without a gradient.
        rows: [B, N] weights of nodes.
        columns: [B, M] weights of targets.
        sharpness: lambda of the plan.
        iterations: T of the plan.
    """
    cosine = torch.einsum("bnc,bmc->bnm", normalize(nodes, dim=-1), normalize(targets, dim=-1))
    with torch.no_grad():
        plan = transport_plan(1.0 - cosine, rows, columns, sharpness, iterations)
    return 2.0 - 2.0 * (plan * cosine).sum(dim=(1, 2)).mean()
