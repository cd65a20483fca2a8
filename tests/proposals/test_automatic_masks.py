"""The fast generator against segment-anything's own, mask for mask."""

import numpy as np
import pytest
import torch
from segment_anything import SamAutomaticMaskGenerator

from mutdet.data.scenes.draw import draw_scene
from mutdet.proposals.automatic_masks import AutomaticMasks
from mutdet.proposals.candidates import packed
from mutdet.proposals.decoders import FusedDecoder, StockDecoder
from mutdet.proposals.mask import decode_mask, masks_of
from mutdet.proposals.sam_generator import automatic_masks
from mutdet.proposals.sam_weights import load_sam
from mutdet.proposals.stock_masks import StockMasks
from mutdet.proposals.working_memory import prompts_at_once
from mutdet.settings.proposals.sam_generator import SamSettings
from mutdet.settings.scenes import SceneSettings
from mutdet.settings.seeds import generator_for

SIZES = [(128, 128), (60, 100), (200, 333), (128, 40)]
LOOSE = {"points_per_side": 3, "points_per_batch": 4, "pred_iou_thresh": 0.42, "stability_score_thresh": 0.5, "box_nms_thresh": 1.0}


def stock_records(sam, image, **settings):
    found = SamAutomaticMaskGenerator(sam, output_mode="coco_rle", **settings).generate(image)
    return {
        (m["segmentation"]["counts"].encode(), tuple(m["segmentation"]["size"]), m["area"], tuple(m["bbox"]), m["predicted_iou"], m["stability_score"],
         tuple(m["point_coords"][0]))
        for m in found
    }  # fmt: skip


def our_records(masks):
    return {(m.counts, m.size, m.area, m.bbox, m.predicted_iou, m.stability_score, m.point) for m in masks}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("model", ["small_random_sam", "tiny_vit_sam"])
def test_stock_decoder_gives_the_stock_generators_masks_bit_by_bit(size, model, request, make_tile):
    sam, image = request.getfixturevalue(model), make_tile(*size, seed=sum(size))
    ours = masks_of(AutomaticMasks(sam, StockDecoder(sam), SamSettings(**LOOSE)), image, "t")
    expected = stock_records(sam, image, **LOOSE)
    assert our_records(ours) == {record for record in expected if record[2]}
    assert len(ours) > 3


@pytest.mark.parametrize("changed", [{"pred_iou_thresh": 0.0}, {"stability_score_offset": 0.3}, {"box_nms_thresh": 0.3}, {"points_per_side": 2}])
def test_settings_act_as_in_the_stock_generator(changed, tiny_vit_sam, make_tile):
    image, settings = make_tile(96, 128, 5), {**LOOSE, **changed}
    ours = masks_of(AutomaticMasks(tiny_vit_sam, StockDecoder(tiny_vit_sam), SamSettings(**settings)), image, "t")
    assert our_records(ours) == {record for record in stock_records(tiny_vit_sam, image, **settings) if record[2]}


@pytest.mark.parametrize("model", ["small_random_sam", "tiny_vit_sam"])
def test_fused_decoder_agrees_up_to_rounding(model, request, make_tile):
    sam, image = request.getfixturevalue(model), make_tile(128, 128, 3)
    settings = SamSettings(**{**LOOSE, "box_nms_thresh": 1.0})
    stock = {(m.point, round(m.predicted_iou, 4)): m for m in masks_of(AutomaticMasks(sam, StockDecoder(sam), settings), image, "t")}
    fused = {(m.point, round(m.predicted_iou, 4)): m for m in masks_of(AutomaticMasks(sam, FusedDecoder(sam), settings), image, "t")}
    shared = stock.keys() & fused.keys()
    assert len(shared) >= 0.98 * max(len(stock), len(fused)) > 3
    different = sum(int((decode_mask(stock[k].size, stock[k].counts) != decode_mask(fused[k].size, fused[k].counts)).sum()) for k in shared)
    assert different <= 1e-5 * len(shared) * 128 * 128


@pytest.mark.parametrize("model", ["small_random_sam", "tiny_vit_sam"])
def test_fused_logits(model, request):
    sam = request.getfixturevalue(model)
    side = sam.image_encoder.img_size
    with torch.no_grad():
        embedding = sam.image_encoder(torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0)))
        points = torch.rand(5, 2, generator=torch.Generator().manual_seed(1)) * side
        rows, kinds = torch.tensor([0, 0, 2, 4]), torch.tensor([0, 2, 1, 1])
        results = []
        for decoder in (StockDecoder(sam), FusedDecoder(sam)):
            decoded = decoder.decode(embedding, points)
            results.append((decoded.predicted_iou, decoder.masks(decoded, rows, kinds)))
    (stock_iou, stock_masks), (fused_iou, fused_masks) = results
    torch.testing.assert_close(fused_iou, stock_iou, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fused_masks, stock_masks, rtol=1e-4, atol=1e-4 * float(stock_masks.abs().max()))


def test_fused_decoder_has_gradients_for_every_weight_it_uses(small_random_sam):
    sam = small_random_sam
    decoder = FusedDecoder(sam)
    embedding = torch.randn(1, 128, 32, 32)
    decoded = decoder.decode(embedding, torch.tensor([[10.0, 20.0], [100.0, 30.0]]))
    (decoded.predicted_iou.sum() + decoder.masks(decoded, torch.tensor([0, 0, 1]), torch.tensor([0, 1, 2])).sum()).backward()
    unused = {name for name, parameter in sam.mask_decoder.named_parameters() if parameter.grad is None}
    sam.zero_grad(set_to_none=True)
    cancelled = {name for name in unused if name.endswith("attn_token_to_image.k_proj.bias")}
    assert len(cancelled) == 3
    assert all(name.startswith("output_hypernetworks_mlps.0.") for name in unused - cancelled)


def test_no_mask_passes(tiny_vit_sam, make_tile):
    settings = SamSettings(points_per_side=3, pred_iou_thresh=1.0)
    assert masks_of(AutomaticMasks(tiny_vit_sam, StockDecoder(tiny_vit_sam), settings), make_tile(64, 64, 0), "t") == []


def test_prompts_without_a_stable_mask_beside_others(trained_sam, scene):
    settings = {"points_per_side": 5, "points_per_batch": 1, "pred_iou_thresh": 0.05, "stability_score_thresh": 0.9}
    ours = masks_of(AutomaticMasks(trained_sam, StockDecoder(trained_sam), SamSettings(**settings)), scene, "t")
    assert our_records(ours) == {record for record in stock_records(trained_sam, scene, **settings) if record[2]}
    passing = masks_of(AutomaticMasks(trained_sam, StockDecoder(trained_sam), SamSettings(**{**settings, "stability_score_thresh": 0.0})), scene, "t")
    assert 0 < len({mask.point for mask in ours}) < len({mask.point for mask in passing})


@pytest.mark.parametrize("stock", [False, True], ids=["fast", "stock"])
def test_max_masks_keeps_the_highest_predicted_iou(stock, tiny_vit_sam, make_tile):
    image, region = make_tile(128, 128, 9), 5 * stock
    every, some = (
        masks_of(automatic_masks(tiny_vit_sam, SamSettings(**LOOSE, min_mask_region_area=region, max_masks=limit)), image, "t") for limit in (None, 2)
    )
    assert len(every) > 2
    assert some == every[:2]
    assert [m.predicted_iou for m in every] == sorted((m.predicted_iou for m in every), reverse=True)


def test_batch_size_changes_no_fused_mask_by_more_than_rounding(small_random_sam, make_tile):
    image = make_tile(256, 256, 4)
    results = [
        masks_of(AutomaticMasks(small_random_sam, FusedDecoder(small_random_sam), SamSettings(**{**LOOSE, "points_per_batch": n})), image, "t") for n in (5, 36)
    ]
    np.testing.assert_allclose([m.predicted_iou for m in results[0]], [m.predicted_iou for m in results[1]], atol=1e-4)


@pytest.fixture(scope="module")
def trained_sam():
    return load_sam("small", None, None)


@pytest.fixture(scope="module")
def scene():
    return draw_scene(SceneSettings(size=256), generator_for(0, "test_crops", 1)).image


REAL = {"points_per_side": 5, "pred_iou_thresh": 0.2, "stability_score_thresh": 0.3}


@pytest.mark.parametrize(
    "changed",
    [
        {"crop_n_layers": 1},
        {"crop_n_layers": 2, "crop_n_points_downscale_factor": 2, "points_per_side": 8},
        {"crop_n_layers": 1, "crop_overlap_ratio": 0.1, "crop_nms_thresh": 0.2, "points_per_side": 7},
        {"crop_n_layers": 1, "box_nms_thresh": 1.0, "crop_nms_thresh": 1.0},
    ],
)
def test_crop_layers_give_the_stock_generators_masks_bit_by_bit(changed, trained_sam, scene):
    settings, image = {**REAL, **changed}, scene[:200, :180]
    ours = masks_of(AutomaticMasks(trained_sam, StockDecoder(trained_sam), SamSettings(**settings)), image, "t")
    assert our_records(ours) == {record for record in stock_records(trained_sam, image, **settings) if record[2]}
    whole = masks_of(AutomaticMasks(trained_sam, StockDecoder(trained_sam), SamSettings(**{**settings, "crop_n_layers": 0})), image, "t")
    assert {mask.point for mask in ours} - {mask.point for mask in whole}


def test_crops_without_any_mask(tiny_vit_sam, make_tile):
    settings = SamSettings(points_per_side=3, pred_iou_thresh=1.0, crop_n_layers=1)
    assert masks_of(AutomaticMasks(tiny_vit_sam, StockDecoder(tiny_vit_sam), settings), make_tile(64, 64, 0), "t") == []


def test_crops_have_peaks_of_their_own(trained_sam, scene):
    settings = SamSettings(**{**REAL, "points_per_side": 0}, decoder="fused", peaks=10, crop_n_layers=1)
    masks = masks_of(AutomaticMasks(trained_sam, FusedDecoder(trained_sam), settings), scene, "t")
    assert len({mask.point for mask in masks}) > 10


@pytest.fixture(scope="module")
def doubled():
    """A scene at twice the size that the small model sees, and where its objects are."""
    drawn = draw_scene(SceneSettings(size=256), generator_for(0, "test_crops", 1))
    return drawn.image.repeat(2, axis=0).repeat(2, axis=1), drawn.instances.repeat(2, axis=0).repeat(2, axis=1) > 0


def peak_points(sam, image, **settings):
    loose = SamSettings(points_per_side=0, pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=1.0, decoder="fused", **settings)
    return {mask.point for mask in masks_of(AutomaticMasks(sam, FusedDecoder(sam), loose), image, "t")}


def test_peaks_of_a_tile_of_another_size_are_prompted_on_its_objects(trained_sam, doubled):
    image, covered = doubled
    points = peak_points(trained_sam, image, peaks=10)
    on_objects = [covered[round(y), round(x)] for x, y in points]
    assert len(points) == 10
    assert np.mean(on_objects) >= 0.8  # with the weights of the package nine of ten


def test_peaks_are_limited_in_number_and_height(trained_sam, doubled):
    image, _ = doubled
    few, many, none = (peak_points(trained_sam, image, **settings) for settings in ({"peaks": 3}, {"peaks": 10}, {"peaks": 10, "peak_thresh": 1.0}))
    assert len(few) == 3
    assert few < many
    assert none == set()


def test_memory_sets_the_number_of_prompts(tiny_vit_sam, make_tile, monkeypatch):
    image = make_tile(128, 128, 2)
    fixed = masks_of(AutomaticMasks(tiny_vit_sam, StockDecoder(tiny_vit_sam), SamSettings(**{**LOOSE, "points_per_batch": 2})), image, "t")
    embedding = 64 * 8 * 8 * 4
    monkeypatch.setattr("mutdet.proposals.working_memory._CPU_BYTES", 2.5 * 8 * embedding)
    assert prompts_at_once(torch.zeros(1, 64, 8, 8)) == 2
    sized = masks_of(AutomaticMasks(tiny_vit_sam, StockDecoder(tiny_vit_sam), SamSettings(**{**LOOSE, "points_per_batch": None})), image, "t")
    assert sized == fixed


@pytest.mark.parametrize("model", ["small_random_sam", "tiny_vit_sam"])
def test_tiles_encoded_together_have_the_masks_of_tiles_encoded_alone(model, request, make_tile):
    sam, images = request.getfixturevalue(model), [make_tile(96, 100 + 9 * n, n) for n in range(5)]
    together = AutomaticMasks(sam, StockDecoder(sam), SamSettings(**LOOSE, tiles_per_batch=2)).search(images, ["t"] * 5)
    for image, finish in zip(images, together, strict=True):
        alone, found = masks_of(AutomaticMasks(sam, StockDecoder(sam), SamSettings(**LOOSE)), image, "t"), finish()
        assert len(alone) == len(found) > 0
        # rounding of other sums, through some ten layers
        np.testing.assert_allclose([m.predicted_iou for m in found], [m.predicted_iou for m in alone], atol=1e-4)


@pytest.mark.parametrize("changed", [{}, {"stability_score_offset": 0.3}, {"crop_n_layers": 1}], ids=["plain", "offset", "crops"])
def test_small_regions_go_as_in_the_stock_generator(changed, tiny_vit_sam, make_tile):
    image, settings = make_tile(100, 128, 6), {**LOOSE, "min_mask_region_area": 30, **changed}
    ours = masks_of(StockMasks(tiny_vit_sam, SamSettings(**settings)), image, "t")
    assert our_records(ours) == {record for record in stock_records(tiny_vit_sam, image, **settings) if record[2]}
    assert ours


@pytest.mark.parametrize("width", [1, 7, 8, 9, 40])
def test_bits_of_masks_come_back(width):
    masks = np.random.default_rng(width).integers(0, 2, (3, 5, width)).astype(bool)
    bits = packed(torch.from_numpy(masks)).numpy()
    np.testing.assert_array_equal(np.unpackbits(bits, axis=2, bitorder="little")[..., :width], masks)


def test_stock_generator_without_any_mask(tiny_vit_sam, make_tile):
    settings = SamSettings(points_per_side=3, pred_iou_thresh=1.0, min_mask_region_area=5)
    assert masks_of(StockMasks(tiny_vit_sam, settings), make_tile(64, 64, 0), "t") == []
