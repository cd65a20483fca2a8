"""Patches: what is cut, how it is coloured, what is pooled."""

import pytest
import torch
from generators import generators
from torch import nn

from mutdet.embedding.tile_images import MEAN, STD
from mutdet.pretraining.patches import augmented_patches, draw_colours, pooled_features
from mutdet.settings.pretraining.patches import PatchSettings

PLAIN = PatchSettings(patch_size=32, patch_jitter=0.0, patch_grey=0.0, patch_blur=0.0)


def _images() -> torch.Tensor:
    """Pixels of two images in [0, 1], normalised; the second is padded."""
    pixels = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(values).view(3, 1, 1) / 255 for values in (MEAN, STD))
    return (pixels - mean) / std


def test_without_colours_a_patch_is_the_part_of_the_image():
    images = _images()
    boxes = [torch.tensor([[24.0, 32.0, 32.0, 32.0, 0.0]]), torch.zeros(0, 5)]
    (patch,) = augmented_patches(images, torch.tensor([[64, 64], [64, 64]]), boxes, PLAIN, generators(len(boxes)))
    # A box as large as the patch is sampled at quarters of pixels: a 1-2-1 filter along each axis, up to rounding.
    part = nn.functional.avg_pool2d(nn.functional.interpolate(images[:1], scale_factor=2, mode="bilinear", align_corners=False), 2)[0]
    torch.testing.assert_close(patch, part[:, 16:48, 8:40], atol=1e-4, rtol=1e-4)


def test_patches_of_all_images_follow_each_other_and_never_see_padding():
    images = _images()
    sizes = torch.tensor([[64, 64], [40, 48]])
    boxes = [torch.tensor([[20.0, 20.0, 10, 10, 0.3]]), torch.tensor([[30.0, 30.0, 30, 30, 0.3], [10.0, 10.0, 9, 9, 0.0]])]
    together = augmented_patches(images, sizes, boxes, PLAIN, generators(len(boxes)))
    changed = images.clone()
    changed[1, :, 40:], changed[1, :, :, 48:] = 9.0, 9.0
    assert torch.equal(augmented_patches(changed, sizes, boxes, PLAIN, generators(len(boxes))), together)
    alone = augmented_patches(images[1:, :, :40, :48], sizes[1:], boxes[1:], PLAIN, generators(1))
    torch.testing.assert_close(together[1:], alone)


def test_colours_follow_the_generator_and_their_probabilities():
    settings = PatchSettings()
    one, same, other = (draw_colours(4000, settings, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(one.factors, same.factors)
    assert not torch.equal(one.factors, other.factors)
    jittered = (one.order >= 0).all(dim=1)
    assert torch.equal(jittered, (one.order >= 0).any(dim=1))
    assert (one.order[jittered].sort(dim=1).values == torch.arange(4)).all()
    assert jittered.float().mean().item() == pytest.approx(0.8, abs=0.03)
    assert one.grey.float().mean().item() == pytest.approx(0.2, abs=0.03)
    assert (one.sigma > 0).float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert one.sigma[one.sigma > 0].min() >= 0.1
    assert one.sigma.max() <= 2.0
    assert (one.factors[:, :3] - 1).abs().max() <= 0.4
    assert one.factors[:, 3].abs().max() <= 0.1
    assert not one.solarized.any()


def test_colours_change_patches():
    images, boxes = _images()[:1], [torch.tensor([[30.0, 30.0, 30, 30, 0.0]])]
    plain = augmented_patches(images, torch.tensor([[64, 64]]), boxes, PLAIN, generators(len(boxes)))
    coloured = augmented_patches(images, torch.tensor([[64, 64]]), boxes, PLAIN.model_copy(update={"patch_jitter": 1.0}), generators(len(boxes)))
    assert (plain - coloured).abs().max() > 0.05


class _Network(nn.Module):
    """Two levels: the images themselves and half of them; batch limits show in the count of calls."""

    channels = (3, 3)

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images):
        self.calls.append(len(images))
        return [images * self.scale, images / 2]


def test_pooled_features_are_means_of_a_level_in_bounded_batches():
    network, patches = _Network(), torch.rand(130, 3, 4, 4)
    found = pooled_features(network, patches, 1)
    torch.testing.assert_close(found, patches.flatten(2).mean(-1) / 2)
    assert max(network.calls) <= 64
    assert not pooled_features(network, patches, 0).requires_grad
    assert pooled_features(network, patches[:0], 0).shape == (0, 3)


def test_an_impossible_blur_is_refused():
    with pytest.raises(ValueError, match="patch_blur_sigma"):
        PatchSettings(patch_blur_sigma=[2.0, 1.0])
