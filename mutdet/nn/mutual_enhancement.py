"""Mutual Enhancement Module of MutDet: object embeddings and image features exchange information (docs/method.md C)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mutdet.nn.attention import Attention
from mutdet.nn.feed_forward import FeedForward


def pad_objects(objects: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Ragged [M, C] object embeddings of B images to [B, M, C] with [B, M] True where there is an object; M is at least 1."""
    most = max(1, *(len(part) for part in objects))
    padded = objects[0].new_zeros((len(objects), most, objects[0].shape[-1]))
    present = torch.zeros((len(objects), most), dtype=torch.bool, device=padded.device)
    for image, part in enumerate(objects):
        padded[image, : len(part)] = part
        present[image, : len(part)] = True
    return padded, present


def unpad_objects(padded: Tensor, objects: Sequence[Tensor]) -> Tensor:
    """[sum of M, C] rows of [B, M, C] that `pad_objects` had from ragged objects, one image after the other."""
    return torch.cat([rows[: len(part)] for rows, part in zip(padded, objects, strict=True)])


class MutualEnhancementLayer(nn.Module):
    """Objects attend to themselves and to features, then features to objects; each sum is normalised."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attention = Attention(width, heads)
        self.self_attention_norm = nn.LayerNorm(width)
        self.objects_to_features = Attention(width, heads)
        self.objects_to_features_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, hidden)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.features_to_objects = Attention(width, heads)
        self.features_to_objects_norm = nn.LayerNorm(width)

    def forward(self, features: Tensor, objects: Tensor, seen: Tensor | None, present: Tensor | None) -> tuple[Tensor, Tensor]:
        """Enhance; masks are [B, 1, K] and [B, 1, M], True for what may be attended to."""
        objects = self.enhance_objects(features, objects, seen, present)
        features = self.features_to_objects_norm(features + self.features_to_objects(features, objects, objects, present))
        return features, objects

    def enhance_objects(self, features: Tensor, objects: Tensor, seen: Tensor | None, present: Tensor | None) -> Tensor:
        """The first half: objects [B, M, C] alone, from each other and from features."""
        objects = self.self_attention_norm(objects + self.self_attention(objects, objects, objects, present))
        objects = self.objects_to_features_norm(objects + self.objects_to_features(objects, features, features, seen))
        return self.feed_forward_norm(objects + self.feed_forward(objects))


class MutualEnhancement(nn.Module):
    """Layers of mutual enhancement with weights of their own, dense attention, no positional encoding, no dropout."""

    def __init__(self, width: int = 256, heads: int = 8, hidden: int = 2048, layers: int = 3) -> None:
        super().__init__()
        self.layers = nn.ModuleList(MutualEnhancementLayer(width, heads, hidden) for _ in range(layers))

    def forward(self, features: Tensor, objects: Tensor, seen: Tensor | None = None, present: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Enhance features and objects.

        Args:
            features: [B, K, C] encoder tokens.
            objects: [B, M, C] embeddings, M at least 1 (`pad_objects`).
            seen: [B, K] True for tokens that objects attend to, False for padding; None: all.
            present: [B, M] True where there is an object; an image may have none. None: all.

        Returns:
            Features [B, K, C] and objects [B, M, C]; undefined where not seen or present.
        """
        seen = seen[:, None] if seen is not None else None
        present = present[:, None] if present is not None else None
        for layer in self.layers:
            features, objects = layer(features, objects, seen, present)
        return features, objects
