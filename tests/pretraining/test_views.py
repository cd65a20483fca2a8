"""Views: boxes follow pixels, colours are torchvision's, all is drawn from the generator."""

from collections import Counter

import numpy as np
import pytest
import torch
from generators import generators
from pseudo_batch import noise_images, pseudo_objects

from mutdet.detectors.types import Targets
from mutdet.embedding.tile_images import MEAN, STD
from mutdet.geometry import rotated_boxes
from mutdet.geometry.rotated_boxes_torch import corners, flip
from mutdet.pretraining.views import COLOURS, draw_view, recoloured, resized
from mutdet.settings.pretraining.aligndet import OPERATIONS, AlignDetPretrainSettings

STILL = {"view_scales": [1.0], "operations": ["identity"], "flip_horizontal": 0.0, "flip_vertical": 0.0, "flip_diagonal": 0.0}


def _view(images, sizes, targets, seed=0, **options):
    return draw_view(images, sizes, targets, AlignDetPretrainSettings(**options), generators(len(images), seed))


def test_without_any_change_a_view_is_the_image_in_8_bit():
    images, sizes = noise_images(2)
    targets = [pseudo_objects(3), pseudo_objects(2, 1)]
    view = _view(images * 0.3, sizes, targets, **STILL)
    assert (view.images - images * 0.3).abs().max() < 0.51 / min(STD)
    assert torch.equal(view.sizes, sizes)
    assert all(torch.equal(a.boxes, b.boxes) and a.embeddings is b.embeddings for a, b in zip(view.targets, targets, strict=True))


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal"])
def test_flips_of_boxes_are_those_of_numpy(direction):
    boxes = pseudo_objects(20).boxes
    expected = rotated_boxes.flip(rotated_boxes.to_le90(boxes.numpy()), direction, 80, 60)
    np.testing.assert_allclose(flip(boxes, direction, 80, 60).numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("direction", ["horizontal", "vertical", "diagonal"])
@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_boxes_follow_pixels(direction, scale):
    """A bright spot at each corner of a box is at the corners of the box in the view, and the box has moved to the other side."""
    box = torch.tensor([[40.0, 20.0, 28.0, 16.0, 0.5]])
    image = torch.full((1, 3, 64, 96), -2.0)
    for x, y in corners(box)[0].round().int().tolist():
        image[0, :, y - 2 : y + 2, x - 2 : x + 2] = 2.0
    options = {**STILL, "view_scales": [scale], f"flip_{direction}": 1.0}
    view = _view(image, torch.tensor([[64, 96]]), [Targets(box, torch.zeros(1, dtype=torch.int64))], **options)
    assert view.sizes.tolist() == [[round(64 * scale), round(96 * scale)]]
    moved = {"horizontal": [56.0, 20.0], "vertical": [40.0, 44.0], "diagonal": [56.0, 44.0]}[direction]
    assert view.targets[0].boxes[0, :2].tolist() == pytest.approx([scale * place for place in moved])
    bright = (view.images[0, 0] > 1.0).nonzero().float().flip(-1) + 0.5
    points = corners(view.targets[0].boxes)[0]
    assert torch.cdist(bright, points).amin(dim=1).max() < 4
    assert torch.cdist(points, bright).amin(dim=1).max() < 2


def test_views_of_different_sizes_are_padded_and_sizes_say_so():
    images, sizes = noise_images(6)
    view = _view(images, sizes, [pseudo_objects(1)] * 6, view_scales=[0.5, 1.0])
    assert set(view.sizes[:, 0].tolist()) == {48, 96}
    for image, (height, width) in zip(view.images, view.sizes.tolist(), strict=True):
        assert not image[:, height:].any()
        assert not image[:, :, width:].any()


def test_views_follow_the_generator_and_are_drawn_apart():
    images, sizes = noise_images(4)
    targets = [pseudo_objects(2)] * 4
    assert torch.equal(_view(images, sizes, targets).images, _view(images, sizes, targets).images)
    own = generators(4)
    first, second = (draw_view(images, sizes, targets, AlignDetPretrainSettings(), own) for _ in range(2))
    assert first.sizes.tolist() != second.sizes.tolist() or not torch.equal(first.images, second.images)


def test_all_flips_are_drawn_by_their_chances():
    box = torch.tensor([[10.0, 12.0, 8.0, 4.0, 0.0]])
    targets = [Targets(box, torch.zeros(1, dtype=torch.int64))] * 400
    chances = {"flip_horizontal": 0.5, "flip_vertical": 0.25, "flip_diagonal": 0.125}
    view = _view(torch.zeros(400, 3, 40, 60), torch.tensor([[40, 60]] * 400), targets, **{**STILL, **chances})
    counts = Counter(tuple(t.boxes[0, :2].tolist()) for t in view.targets)
    # Three deviations of the most frequent flip: sqrt(400 * 0.5 * 0.5) = 10.
    assert counts == pytest.approx({(10.0, 12.0): 50, (50.0, 12.0): 200, (10.0, 28.0): 100, (50.0, 28.0): 50}, abs=30)


def test_every_operation_has_a_name_and_keeps_8_bit():
    assert list(COLOURS) == OPERATIONS
    pixels = torch.randint(40, 200, (3, 64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    results = {name: change(pixels, 3) for name, change in COLOURS.items()}
    assert all(result.dtype == torch.uint8 and result.shape == pixels.shape for result in results.values())
    assert torch.equal(results["identity"], pixels)
    assert len({tuple(result.flatten().tolist()) for result in results.values()}) == len(OPERATIONS)


@pytest.mark.parametrize(("strength", "bits"), [(1, 4), (3, 3), (5, 2), (9, 1)])
def test_strength_of_posterize_and_solarize(strength, bits):
    pixels = torch.arange(0, 256, dtype=torch.uint8).view(1, 16, 16).expand(3, -1, -1)
    assert len(COLOURS["posterize"](pixels, strength).unique()) == 2**bits
    inverted = COLOURS["solarize"](pixels, strength)[0].flatten()
    assert (inverted == torch.arange(255, -1, -1)).nonzero()[0].item() == pytest.approx(25.6 * strength, abs=1)


def test_brightness_of_strength_5_changes_nothing():
    image = noise_images(1)[0][0] * 0.3
    torch.testing.assert_close(recoloured(image, "brightness", 5), recoloured(image, "identity", 1))
    dark = (recoloured(image, "brightness", 1) * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)).mean()
    assert dark.item() == pytest.approx(0.28 * 116, rel=0.1)


def test_resizing_scales_boxes_but_not_angles():
    _, boxes = resized(torch.zeros(3, 50, 40), torch.tensor([[10.0, 20, 8, 4, 0.7]]), 0.5)
    torch.testing.assert_close(boxes, torch.tensor([[5.0, 10, 4, 2, 0.7]]))
