"""Small models with random weights, and tiles with things on them."""

from functools import partial

import numpy as np
import pytest
import torch
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

from mutdet.proposals.small_sam import build_small_sam

torch.set_num_threads(1)


def excite(sam: Sam, seed: int) -> Sam:
    """Random weights large enough that masks have edges and predicted IoUs differ."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in sam.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
        for network in sam.mask_decoder.output_hypernetworks_mlps:
            network.layers[-1].weight.mul_(100)
        sam.mask_decoder.iou_prediction_head.layers[-1].weight.mul_(3)
        sam.mask_decoder.iou_prediction_head.layers[-1].bias.fill_(0.6)
    return sam.eval()


@pytest.fixture(scope="session")
def small_random_sam() -> Sam:
    """The small SAM with random weights."""
    torch.manual_seed(1)
    return excite(build_small_sam(), 1)


@pytest.fixture(scope="session")
def tiny_vit_sam() -> Sam:
    """segment-anything's architecture with a vision transformer of two layers, input 128 px."""
    torch.manual_seed(2)
    encoder = ImageEncoderViT(
        img_size=128, patch_size=16, embed_dim=32, depth=2, num_heads=2, out_chans=64, use_rel_pos=True, window_size=4,
        global_attn_indexes=(1,), norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
    )  # fmt: skip
    prompts = PromptEncoder(embed_dim=64, image_embedding_size=(8, 8), input_image_size=(128, 128), mask_in_chans=4)
    transformer = TwoWayTransformer(depth=2, embedding_dim=64, num_heads=4, mlp_dim=64)
    decoder = MaskDecoder(transformer_dim=64, transformer=transformer, iou_head_depth=3, iou_head_hidden_dim=64)
    return excite(Sam(encoder, prompts, decoder), 2)


def tile_image(height: int, width: int, seed: int) -> np.ndarray:
    """Noise with bright rectangles, [height, width, 3] uint8."""
    rng = np.random.default_rng(seed)
    image = rng.integers(60, 120, (height, width, 3), dtype=np.uint8)
    for _ in range(8):
        y, x = rng.integers(0, height - 8), rng.integers(0, width - 8)
        image[y : y + rng.integers(5, 40), x : x + rng.integers(5, 40)] = rng.integers(0, 255, 3)
    return image


@pytest.fixture(scope="session")
def make_tile():
    return tile_image
