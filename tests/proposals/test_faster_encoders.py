"""The encoder with fused attention, in half precision and compiled, against the stock encoder."""

import copy

import numpy as np
import pytest
import torch
from segment_anything.modeling.image_encoder import Attention

from mutdet.proposals.automatic_masks import AutomaticMasks
from mutdet.proposals.decoders import FusedDecoder, StockDecoder
from mutdet.proposals.fused_attention import FusedAttention, fuse_attention
from mutdet.proposals.half_precision import halve_matrices
from mutdet.proposals.mask import masks_of
from mutdet.settings.proposals.sam_generator import SamSettings

LOOSE = {"points_per_side": 6, "pred_iou_thresh": 0.42, "stability_score_thresh": 0.5, "box_nms_thresh": 1.0}


@pytest.fixture
def placed_sam(tiny_vit_sam):
    """A model whose relative positions are not zero, as they are in a new one."""
    sam, generator = copy.deepcopy(tiny_vit_sam), torch.Generator().manual_seed(3)
    for name, parameter in sam.image_encoder.named_parameters():
        if "rel_pos" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator)
    return sam


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("size", [(8, 8), (5, 9), (1, 1)])
def test_fused_attention_is_the_stock_layers_function(relative, size):
    torch.manual_seed(0)
    stock = Attention(32, num_heads=4, use_rel_pos=relative, input_size=size).double()
    for parameter in stock.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(3, *size, 32, dtype=torch.float64)
    torch.testing.assert_close(FusedAttention(stock)(x), stock(x), rtol=1e-10, atol=1e-10)


def test_fused_encoder_agrees_up_to_rounding(placed_sam):
    image = torch.randn(2, 3, 128, 128)
    with torch.no_grad():
        expected = placed_sam.image_encoder(image)
        fuse_attention(placed_sam.image_encoder)
        assert all(isinstance(block.attn, FusedAttention) for block in placed_sam.image_encoder.blocks)
        torch.testing.assert_close(placed_sam.image_encoder(image), expected, rtol=1e-4, atol=1e-5)


def test_encoders_without_such_attention_stay(small_random_sam):
    names = [name for name, _ in small_random_sam.image_encoder.named_modules()]
    fuse_attention(small_random_sam.image_encoder)
    assert [name for name, _ in small_random_sam.image_encoder.named_modules()] == names


@pytest.mark.parametrize("decoder", [StockDecoder, FusedDecoder])
@pytest.mark.parametrize("model", ["small_random_sam", "placed_sam"])
def test_half_precision_finds_nearly_the_same(model, decoder, request, make_tile, bfloat16_is_computed):
    sam, image = copy.deepcopy(request.getfixturevalue(model)), make_tile(128, 128, 3)
    full = masks_of(AutomaticMasks(sam, decoder(sam), SamSettings(**LOOSE)), image, "t")
    halve_matrices(sam, torch.bfloat16)
    half = masks_of(AutomaticMasks(sam, decoder(sam), SamSettings(**LOOSE, precision="bfloat16")), image, "t")
    assert len(full) > 3
    assert full != half
    found = [any(mask.point == other.point and abs(other.area / mask.area - 1) < 0.2 for other in half) for mask in full]
    assert np.mean(found) > 0.7


def test_places_of_prompts_stay_exact_in_half_precision(placed_sam):
    points, embedding = torch.tensor([[100.0, 20.0], [100.4, 20.0]]), torch.zeros(1, 64, 8, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        first, second = FusedDecoder(placed_sam).decode(embedding, points).mask_tokens
    assert not torch.equal(first, second)


@pytest.mark.slow
def test_compiled_encoder_finds_the_same(placed_sam, make_tile):
    image = make_tile(128, 128, 3)
    eager = masks_of(AutomaticMasks(placed_sam, StockDecoder(placed_sam), SamSettings(**LOOSE)), image, "t")
    compiled = masks_of(AutomaticMasks(placed_sam, StockDecoder(placed_sam), SamSettings(**LOOSE, compile=True)), image, "t")
    assert len(eager) == len(compiled) > 3
    np.testing.assert_allclose([m.predicted_iou for m in compiled], [m.predicted_iou for m in eager], atol=1e-4)
