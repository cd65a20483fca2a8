"""Attention of segment-anything's vision transformers without attention maps in memory.

Its relative positions add rows(q)[i] + columns(q)[j] to the score of a query q and the key in row i and column j. Appended to the query, with the
key's row and column one-hot appended to the key, both terms become part of the scalar product, so that a plain fused kernel takes care of all.
"""

import torch
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.image_encoder import Attention, get_rel_pos
from torch import Tensor, nn
from torch.nn import functional


class FusedAttention(nn.Module):
    """The same function as an attention layer of segment-anything's encoder, with its parameters."""

    def __init__(self, stock: Attention) -> None:
        super().__init__()
        self.num_heads, self.scale = stock.num_heads, stock.scale
        self.qkv, self.proj = stock.qkv, stock.proj
        self.rel_pos_h: nn.Parameter | None = stock.rel_pos_h if stock.use_rel_pos else None
        self.rel_pos_w: nn.Parameter | None = stock.rel_pos_w if stock.use_rel_pos else None

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each map of x [B, H, W, C]."""
        batch, height, width, _ = x.shape
        query, key, value = self.qkv(x).view(batch, height * width, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        channels = value.shape[-1]
        if self.rel_pos_h is not None and self.rel_pos_w is not None:
            query = torch.cat([query * self.scale, *self._places(query, height, width)], dim=-1)
            key = torch.cat([key, _one_hot(key, height, width)], dim=-1)
            value = functional.pad(value, (0, query.shape[-1] - channels))
            mixed = functional.scaled_dot_product_attention(query, key, value, scale=1.0)[..., :channels]
        else:
            mixed = functional.scaled_dot_product_attention(query, key, value, scale=self.scale)
        result: Tensor = self.proj(mixed.permute(0, 2, 1, 3).reshape(batch, height, width, -1))
        return result

    def _places(self, query: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """[B, heads, H W, H] and [B, heads, H W, W] scores of every query with the rows and columns of keys."""
        placed = query.unflatten(2, (height, width))
        rows = get_rel_pos(height, height, self.rel_pos_h).to(query.dtype)
        columns = get_rel_pos(width, width, self.rel_pos_w).to(query.dtype)
        return torch.einsum("bnhwc,hkc->bnhwk", placed, rows).flatten(2, 3), torch.einsum("bnhwc,wkc->bnhwk", placed, columns).flatten(2, 3)


def fuse_attention(encoder: nn.Module) -> None:
    """Replace, in place, the attention layers of a vision transformer of segment-anything; other encoders have none and stay as they are."""
    if isinstance(encoder, ImageEncoderViT):
        for block in encoder.blocks:
            block.attn = FusedAttention(block.attn)


def _one_hot(key: Tensor, height: int, width: int) -> Tensor:
    """[B, heads, H W, H + W] ones at the row and the column of each key."""
    rows = torch.eye(height, dtype=key.dtype, device=key.device).repeat_interleave(width, 0)
    columns = torch.eye(width, dtype=key.dtype, device=key.device).repeat(height, 1)
    return torch.cat([rows, columns], dim=1).expand(*key.shape[:2], -1, -1)
