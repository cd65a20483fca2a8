"""Selective search: finds things, always the same ones in the same order."""

import numpy as np
import pytest
import torch

from mutdet.proposals.mask import decode_mask, masks_of
from mutdet.proposals.mask_boxes import box_of_region
from mutdet.proposals.selective_search import SelectiveSearchGenerator
from mutdet.settings.proposals.selective_search import SelectiveSearchSettings

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def image():
    pixels = np.full((96, 120, 3), 90, np.uint8)
    pixels[20:50, 30:70] = (200, 40, 40)
    pixels[60:80, 80:110] = (40, 40, 220)
    return pixels


def generate(image, tile_id="t", **settings):
    return masks_of(SelectiveSearchGenerator(SelectiveSearchSettings(**settings), CPU), image, tile_id)


def test_finds_the_rectangles(image):
    boxes = np.array([mask.bbox for mask in generate(image)])
    for expected in ([30, 20, 39, 29], [80, 60, 29, 19]):
        assert np.abs(boxes - expected).max(axis=1).min() <= 2


def test_masks_are_filled_boxes(image):
    for mask in generate(image, max_proposals=10):
        pixels = decode_mask(mask.size, mask.counts)
        x, y, w, h = (int(value) for value in mask.bbox)
        assert pixels.sum() == mask.area == (w + 1) * (h + 1)
        assert pixels[y : y + h + 1, x : x + w + 1].all()
        box = box_of_region(mask.region)
        np.testing.assert_allclose(box[:2], [x + (w + 1) / 2, y + (h + 1) / 2], atol=1e-4)


def test_order_depends_on_the_tile_alone(image):
    first = generate(image)
    generate(np.ascontiguousarray(image[::-1]), "other")
    assert generate(image) == first
    assert generate(image, "u") != first
    assert {mask.bbox for mask in generate(image, "u")} == {mask.bbox for mask in first}


@pytest.mark.parametrize(
    "change", [{"strategy": "quality"}, {"base_k": 600}, {"step_k": 600}, {"sigma": 3.0}, {"seed": 1}], ids=lambda change: next(iter(change))
)
def test_every_setting_of_the_search_changes_what_is_found(change):
    noisy = np.random.default_rng(0).integers(0, 256, (12, 12, 3)).repeat(4, axis=0).repeat(4, axis=1).astype(np.uint8)
    assert generate(noisy, **change) != generate(noisy)


def test_scores_fall_with_the_rank_and_limits_hold(image):
    masks = generate(image, max_proposals=5, min_side=10)
    assert len(masks) == 5
    assert [mask.predicted_iou for mask in masks] == sorted((mask.predicted_iou for mask in masks), reverse=True)
    assert masks[0].predicted_iou == 1
    assert all(min(mask.bbox[2:]) >= 9 for mask in masks)


def test_resized_search_stays_in_the_tile(image):
    masks = generate(image, resize=48)
    assert masks
    assert all(m.bbox[0] >= 0 and m.bbox[0] + m.bbox[2] < 120 and m.bbox[1] + m.bbox[3] < 96 for m in masks)
    assert np.abs(np.array([mask.bbox for mask in masks]) - [30, 20, 39, 29]).max(axis=1).min() <= 5


@pytest.mark.parametrize("strategy", ["fast", "quality"])
def test_plain_tile(strategy):
    plain = np.full((40, 40, 3), 128, np.uint8)
    assert all(mask.area for mask in generate(plain, strategy=strategy))
