"""BYOL's loss between vectors."""

from lightly.loss.negative_cosine_similarity import NegativeCosineSimilarity
from torch import Tensor

_NEGATIVE_COSINE = NegativeCosineSimilarity()


def squared_distance(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean squared distance of unit vectors, 2 - 2 cos, in [0, 4], in float32.

    Args:
        prediction: [B, C].
        target: [B, C]; takes no gradient.
    """
    return 2.0 + 2.0 * _NEGATIVE_COSINE(prediction.float(), target.detach().float())
