"""Contrastive alignment of predictions with object embeddings (docs/method.md C)."""

import torch
from torch import Tensor
from torch.nn import functional

from mutdet.nn.full_precision import full_precision
from mutdet.nn.ranks import rows_of_all_ranks, share_of_count


def contrastive_alignment(predictions: Tensor, objects: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Bidirectional contrast: 2 t CE(Z O^T / t) + 2 t CE(O Z^T / t), averaged over the R pairs of the batch.

    Prediction to object: softmax over the distinct objects that are anybody's target. Object to prediction: softmax over one of its own predictions
    and all predictions of other objects. So an object that has several predictions, as in several denoising groups, is never its own
    negative (E 5), and the number of groups does not change the first direction. Where every object has one prediction, this is the published loss.

    Args:
        predictions: [R, C].
        objects: [M, C], all objects of the batch.
        target: [R] int64, the object of each prediction.
        temperature: t > 0.

    Returns:
        Scalar; zero, with a gradient of zero, where there is no pair.
    """
    count = share_of_count(len(target), target.device)
    if len(target) == 0:
        return predictions.sum() * 0.0
    z = functional.normalize(predictions.float(), dim=-1)
    o = functional.normalize(objects.float(), dim=-1)
    with full_precision(z.device):
        similarity = z @ o.T / temperature
    # Masked rather than left out: how many are used is not known without waiting for the device.
    used = torch.zeros(len(objects), dtype=torch.bool, device=target.device).index_fill(0, target, True)
    to_objects = functional.cross_entropy(similarity.masked_fill(~used, -torch.inf), target, reduction="sum")
    return 2.0 * temperature * (to_objects + _objects_to_predictions(similarity, target)) / count


def contrastive_alignment_of_all_ranks(predictions: Tensor, objects: Tensor, target: Tensor, temperature: float) -> Tensor:
    """`contrastive_alignment` of the pairs of all processes together, so that objects on one are negatives on the others; the released code does without."""
    objects, first = rows_of_all_ranks(objects)
    return contrastive_alignment(rows_of_all_ranks(predictions)[0], objects, rows_of_all_ranks(target + first)[0], temperature)


def _objects_to_predictions(similarity: Tensor, own: Tensor) -> Tensor:
    """Sum over pairs (i, j = own_i) of -log(e^s_ij / (e^s_ij + sum over k with own_k != j of e^s_kj))."""
    pair = similarity.gather(1, own[:, None])[:, 0]
    mine = torch.nn.functional.one_hot(own, similarity.shape[1]).bool()
    others = similarity.masked_fill(mine, -torch.inf).logsumexp(dim=0)[own]
    return functional.softplus(others - pair).sum()
