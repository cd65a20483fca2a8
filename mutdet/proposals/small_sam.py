"""The small SAM: segment-anything's `Sam` around a small convolutional encoder."""

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from mutdet.proposals.small_encoder import STRIDE, SmallEncoder

IMAGE_SIDE = 256
WIDTH = 128
MASK_STRIDE = 2
"""Pixels of the input to one of the decoder's masks."""

_FREQUENCY = 3.0
"""Factor on the frequencies of the points' code: objects lie a few pixels apart here, dozens in segment-anything's 1024 px input."""

_SHARPNESS = 4.0
"""Factor on the initial projections of the attention between points and image."""


def build_small_sam() -> Sam:
    """Small SAM with random weights: 2.8 M parameters, input 256 px, 32 x 32 tokens of width 128, masks of 128 px."""
    tokens = IMAGE_SIDE // STRIDE
    sam = Sam(
        image_encoder=SmallEncoder(IMAGE_SIDE, WIDTH),
        prompt_encoder=PromptEncoder(embed_dim=WIDTH, image_embedding_size=(tokens, tokens), input_image_size=(IMAGE_SIDE, IMAGE_SIDE), mask_in_chans=16),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=WIDTH, mlp_dim=512, num_heads=8),
            transformer_dim=WIDTH,
            iou_head_depth=3,
            iou_head_hidden_dim=WIDTH,
        ),
    )
    sam.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.mul_(_FREQUENCY)
    _look_where_the_point_is(sam.mask_decoder.transformer)
    return sam.eval()


def _look_where_the_point_is(transformer: TwoWayTransformer) -> None:
    """Start the attention between points and image with equal projections of queries and keys.

    The product of two position codes, a bell around the point, then passes through: points are told apart from the first
    step, which random projections take thousands of steps to learn.
    """
    attentions = [attention for layer in transformer.layers for attention in (layer.cross_attn_token_to_image, layer.cross_attn_image_to_token)]
    with torch.no_grad():
        for attention in [*attentions, transformer.final_attn_token_to_image]:
            attention.q_proj.weight.mul_(_SHARPNESS)
            attention.k_proj.weight.copy_(attention.q_proj.weight)
