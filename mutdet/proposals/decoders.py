"""Mask decoding in two steps, so that masks are only made of prompts whose predicted IoU is good enough.

`StockDecoder` runs segment-anything's own layers and gives its numbers bit by bit. `FusedDecoder` computes the same
function from the same weights with the projections folded into the few prompt tokens: equal up to rounding, several
times faster and with a fraction of the memory, because no per-prompt copy of the image is projected or rearranged.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from segment_anything.modeling import MaskDecoder, Sam
from segment_anything.modeling.transformer import Attention
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Decoded:
    """What a batch of B point prompts gave, before any mask is made.

    Attributes:
        predicted_iou: [B, 3], the decoder's own estimate of each mask's IoU.
        mask_tokens: [B, 3, C], one token a mask.
        tokens: [B, K, C], the image as each prompt left it.
    """

    predicted_iou: Tensor
    mask_tokens: Tensor
    tokens: Tensor


class Decoder(Protocol):
    """Decodes point prompts on one encoded image."""

    def decode(self, embedding: Tensor, points: Tensor) -> Decoded:
        """Run the transformer for points [B, 2] (x, y in pixels of the model's input) on an embedding [1, C, H, W]."""

    def masks(self, decoded: Decoded, prompts: Tensor, kinds: Tensor) -> Tensor:
        """Logits [M, 4 H, 4 W] of the masks `kinds` [M] (0 to 2) of `prompts` [M], which ascend."""


def embed_points(sam: Sam, points: Tensor) -> tuple[Tensor, Tensor]:
    """Sparse [B, 2, C] and dense [B, C, H, W] prompt embeddings of one foreground point per prompt, points [B, 2]."""
    labels = torch.ones(len(points), 1, dtype=torch.int, device=points.device)
    with torch.autocast(points.device.type, enabled=False):  # half precision would blur positions by half a pixel
        return sam.prompt_encoder(points=(points[:, None], labels), boxes=None, masks=None)


def dense_position(sam: Sam) -> Tensor:
    """[1, C, H, W] codes of the places of an embedding's cells, float32 whatever the precision of the networks."""
    with torch.autocast(sam.device.type, enabled=False):
        position: Tensor = sam.prompt_encoder.get_dense_pe()
    return position


def _with_output_tokens(decoder: MaskDecoder, sparse: Tensor) -> Tensor:
    output = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight], dim=0)
    return torch.cat([output.expand(len(sparse), -1, -1), sparse], dim=1)


class StockDecoder:
    """segment-anything's decoder, its upscaling run for the prompts that are asked for only."""

    def __init__(self, sam: Sam) -> None:
        self._sam = sam

    def decode(self, embedding: Tensor, points: Tensor) -> Decoded:
        """See `Decoder.decode`."""
        decoder = self._sam.mask_decoder
        sparse, dense = embed_points(self._sam, points)
        position = dense_position(self._sam)
        image = torch.repeat_interleave(embedding, len(points), dim=0) + dense
        states, tokens = decoder.transformer(image, torch.repeat_interleave(position, len(points), dim=0), _with_output_tokens(decoder, sparse))
        return Decoded(decoder.iou_prediction_head(states[:, 0])[:, 1:], states[:, 2 : 1 + decoder.num_mask_tokens], tokens)

    def masks(self, decoded: Decoded, prompts: Tensor, kinds: Tensor) -> Tensor:
        """See `Decoder.masks`."""
        decoder = self._sam.mask_decoder
        chosen, position = torch.unique(prompts, return_inverse=True)
        height, width = self._sam.prompt_encoder.image_embedding_size
        tokens = decoded.tokens[chosen].transpose(1, 2).reshape(len(chosen), -1, height, width)
        upscaled = decoder.output_upscaling(tokens).flatten(2)
        networks = decoder.output_hypernetworks_mlps[1:]
        weights = torch.stack([network(decoded.mask_tokens[chosen, i]) for i, network in enumerate(networks)], dim=1)
        return (weights @ upscaled).unflatten(2, (4 * height, 4 * width))[position, kinds]


class FusedDecoder:
    """The same decoder with its attention folded into the prompt tokens; differentiable, so that it also trains."""

    def __init__(self, sam: Sam) -> None:
        self._sam = sam

    def decode(self, embedding: Tensor, points: Tensor) -> Decoded:
        """See `Decoder.decode`."""
        decoder = self._sam.mask_decoder
        sparse, _ = embed_points(self._sam, points)
        position = dense_position(self._sam)[0].flatten(1).T
        image = embedding[0].flatten(1).T + self._sam.prompt_encoder.no_mask_embed.weight
        prompt = states = _with_output_tokens(decoder, sparse)
        for layer in decoder.transformer.layers:
            if layer.skip_first_layer_pe:
                states = layer.norm1(layer.self_attn(states, states, states))
            else:
                with_prompt = states + prompt
                states = layer.norm1(states + layer.self_attn(with_prompt, with_prompt, states))
            placed = image + position
            states = layer.norm2(states + _tokens_to_image(layer.cross_attn_token_to_image, states + prompt, placed, image))
            states = layer.norm3(states + layer.mlp(states))
            image = layer.norm4(_image_to_tokens(layer.cross_attn_image_to_token, image, placed, states + prompt, states))
        attention = decoder.transformer.final_attn_token_to_image
        states = states + _tokens_to_image(attention, states + prompt, image + position, image)
        states = decoder.transformer.norm_final_attn(states)
        return Decoded(decoder.iou_prediction_head(states[:, 0])[:, 1:], states[:, 2 : 1 + decoder.num_mask_tokens], image)

    def masks(self, decoded: Decoded, prompts: Tensor, kinds: Tensor) -> Tensor:
        """See `Decoder.masks`."""
        decoder = self._sam.mask_decoder
        chosen, position = torch.unique(prompts, return_inverse=True)
        networks = decoder.output_hypernetworks_mlps[1:]
        weights = torch.stack([network(decoded.mask_tokens[chosen, i]) for i, network in enumerate(networks)], dim=1)
        fine = self.upscaled(decoded.tokens[chosen])
        return self.as_map((weights @ fine.transpose(1, 2))[position, kinds])

    def upscaled(self, tokens: Tensor) -> Tensor:
        """[B, 16 K, C / 8] features of mask cells for tokens [B, K, C]: the decoder's upscaling, cells of a token together."""
        first, norm, _, second, _ = self._sam.mask_decoder.output_upscaling
        coarse = functional.layer_norm(_upscale(first, tokens), norm.weight.shape, norm.weight, norm.bias, norm.eps)
        return functional.gelu(_upscale(second, functional.gelu(coarse))).flatten(1, 3)

    def as_map(self, cells: Tensor) -> Tensor:
        """[..., 4 H, 4 W] map of values [..., 16 K] in the order of `upscaled`."""
        height, width = self._sam.prompt_encoder.image_embedding_size
        apart = cells.unflatten(-1, (height, width, 2, 2, 2, 2))
        return apart.movedim((-6, -4, -2, -5, -3, -1), (-6, -5, -4, -3, -2, -1)).reshape(*cells.shape[:-1], 4 * height, 4 * width)


def _upscale(layer: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """2 x 2 transposed convolution with stride 2 as one product: [..., C] to [..., 4, C'], the 4 being (dy, dx)."""
    weight = layer.weight.permute(0, 2, 3, 1).flatten(1)
    bias = None if layer.bias is None else layer.bias.repeat(4)
    return functional.linear(x, weight.T, bias).unflatten(-1, (4, -1))


def _heads(attention: Attention, x: Tensor) -> Tensor:
    return x.unflatten(-1, (attention.num_heads, -1)).transpose(-2, -3)


def _head_rows(attention: Attention, projection: nn.Linear) -> Tensor:
    return projection.weight.unflatten(0, (attention.num_heads, -1))


def _tokens_to_image(attention: Attention, query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention of T prompt tokens [B, T, C] to the image's keys and values [K, C] or [B, K, C].

    The key's projection moves to the query's side (its bias cancels in the softmax), the value's behind the sum.
    """
    heads = attention.num_heads
    scale = (attention.internal_dim // heads) ** -0.5
    folded = (_heads(attention, attention.q_proj(query) * scale) @ _head_rows(attention, attention.k_proj)).flatten(1, 2)
    weights = torch.softmax(folded @ keys.transpose(-1, -2), dim=-1)
    mixed = (weights @ values).unflatten(1, (heads, -1))
    projected = mixed @ _head_rows(attention, attention.v_proj).transpose(-1, -2)
    return attention.out_proj(projected.transpose(1, 2).flatten(2) + attention.v_proj.bias)


def _image_to_tokens(attention: Attention, image: Tensor, placed: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """The image [K, C] or [B, K, C] plus its attention (queries: `placed`) to T prompt tokens [B, T, C]: [B, K, C]."""
    heads = attention.num_heads
    scale = (attention.internal_dim // heads) ** -0.5
    key = _heads(attention, attention.k_proj(keys) * scale)
    folded = (key @ _head_rows(attention, attention.q_proj)).flatten(1, 2)
    offset = (key @ attention.q_proj.bias.view(heads, -1, 1)).flatten(1, 2)
    scores = folded @ placed.transpose(-1, -2) + offset
    weights = torch.softmax(scores.unflatten(1, (heads, -1)), dim=2).flatten(1, 2)
    output = attention.out_proj.weight.unflatten(1, (heads, -1)).permute(1, 2, 0)
    mixed = (_heads(attention, attention.v_proj(values)) @ output).flatten(1, 2) + attention.out_proj.bias / heads
    return torch.baddbmm(image.expand(len(mixed), -1, -1), weights.transpose(1, 2), mixed)
