"""Mask generator `random`: rectangles that the boxes stage finds again, seeded by the tile's id."""

import numpy as np
import pytest
import torch

from mutdet.geometry.iou import rotated_iou
from mutdet.geometry.random_boxes import random_boxes
from mutdet.proposals.mask import decode_mask, masks_of
from mutdet.proposals.mask_boxes import box_of_region
from mutdet.proposals.random_boxes import RandomBoxesGenerator
from mutdet.settings.proposals.random_boxes import RandomBoxesSettings
from mutdet.settings.seeds import generator_for

IMAGE = np.zeros((100, 160, 3), np.uint8)


def _generate(tile_id="t", image=IMAGE, **settings):
    return masks_of(RandomBoxesGenerator(RandomBoxesSettings(**{"count": 12, "longest": 60.0, **settings}), torch.device("cpu")), image, tile_id)


@pytest.mark.parametrize(("shortest", "longest"), [(8.0, 60.0), (30.0, 40.0)])
def test_masks_are_the_drawn_rectangles(shortest, longest):
    drawn = random_boxes(12, 160, 100, (shortest, longest), generator_for(0, "masks", "t"))
    masks = _generate(shortest=shortest, longest=longest)
    assert len(masks) == 12
    for mask, box in zip(masks, drawn, strict=True):
        pixels = decode_mask(mask.size, mask.counts)
        assert pixels.sum() == mask.area
        assert mask.area == pytest.approx(box[2] * box[3], rel=0.3)
        found = np.asarray(box_of_region(mask.region), np.float64)
        assert rotated_iou(found[None, :5], box[None].astype(np.float64))[0, 0] > 0.7
    assert [mask.predicted_iou for mask in masks] == sorted((mask.predicted_iou for mask in masks), reverse=True)


def test_pixels_do_not_matter_and_the_id_does():
    assert _generate(image=np.full_like(IMAGE, 200)) == _generate()
    assert _generate("u") != _generate()
    assert _generate(seed=1) != _generate()


def test_none_at_all():
    assert _generate(count=0) == []


def test_sides_must_rise():
    with pytest.raises(ValueError, match="shortest"):
        RandomBoxesSettings(shortest=50.0, longest=20.0)
