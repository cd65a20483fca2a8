"""Views: crops stay inside, colours are torchvision's image by image."""

from itertools import combinations

import numpy as np
import pytest
import torch
from drawn_tables import draw_tables
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional as F

from mutdet.pretraining.selfsup.crops import Crop, apply_crop, draw_crop, draw_region
from mutdet.pretraining.selfsup.photometry import Photometry, augment, draw_photometry, normalised_views
from mutdet.settings.backbones.byol import ByolBackboneSettings
from mutdet.settings.backbones.views import ViewSettings
from mutdet.training.sampling import Draw
from mutdet.training.tile_index import TileIndex
from mutdet.training.view_dataset import ViewDataset

PLAIN = ViewSettings(crop_size=40, blur_kernel=9)


def pictures(count: int, seed: int = 0) -> torch.Tensor:
    """Images with smooth colours, greys, blacks and whites."""
    coarse = torch.rand(count, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    images = torch.nn.functional.interpolate(coarse, (40, 32), mode="bilinear")
    images[:, :, :4, :4] = 0.5
    images[:, :, :4, 4:8] = 0.0
    images[:, :, 4:8, :4] = 1.0
    return images


def parameters(count: int, **changes: torch.Tensor) -> Photometry:
    neutral = {
        "factors": torch.tensor([[1.0, 1.0, 1.0, 0.0]]).repeat(count, 1),
        "order": torch.full((count, 4), -1),
        "grey": torch.zeros(count, dtype=torch.bool),
        "sigma": torch.zeros(count),
        "solarized": torch.zeros(count, dtype=torch.bool),
    }
    return Photometry(**{**neutral, **changes})


@given(st.integers(1, 900), st.integers(1, 900), st.floats(0.01, 1.0), st.integers(0, 2**31))
def test_windows_lie_inside_the_tile(width, height, min_scale, seed):
    settings = ViewSettings(min_scale=min_scale)
    crop = draw_crop(np.random.default_rng(seed), width, height, settings)
    assert crop.left >= 0
    assert crop.top >= 0
    assert 1 <= crop.width <= width - crop.left
    assert 1 <= crop.height <= height - crop.top


def test_windows_have_the_areas_and_sides_asked_for():
    settings = ViewSettings(min_scale=0.3, max_aspect=1.5)
    crops = [draw_crop(np.random.default_rng(seed), 200, 200, settings) for seed in range(400)]
    areas = np.array([crop.width * crop.height for crop in crops]) / 200**2
    sides = np.array([crop.width / crop.height for crop in crops])
    assert 0.28 < areas.min() < 0.35
    assert 0.9 < areas.max() <= 1.0
    assert 1 / 1.55 < sides.min() < 0.75
    assert 1.3 < sides.max() < 1.55
    assert 0.4 < np.mean([crop.mirrored for crop in crops]) < 0.6
    assert not any(crop.upside_down or crop.turned for crop in crops)


@pytest.mark.parametrize("shape", [(8, 8), (300, 7), (1, 1)])
def test_tiles_smaller_than_the_view_are_enlarged(shape):
    image = torch.full((3, *shape), 77, dtype=torch.uint8)
    view = apply_crop(image, draw_crop(np.random.default_rng(0), shape[1], shape[0], PLAIN), 40)
    assert view.shape == (3, 40, 40)
    assert (view == 77).all()


def test_regions_are_pieces_of_the_tile():
    image = torch.arange(3 * 20 * 30).reshape(3, 20, 30)
    found = {draw_region(np.random.default_rng(seed), image, 17)[0, 0, 0].item() for seed in range(900)}
    assert found == {int(image[0, top, left]) for top in range(4) for left in range(14)}
    assert draw_region(np.random.default_rng(0), image, 8).shape == (3, 8, 8)
    assert draw_region(np.random.default_rng(0), image, 25).shape == (3, 20, 25)
    assert torch.equal(draw_region(np.random.default_rng(0), image, 0), image)


def test_crop_without_change_is_the_image_and_turns_move_corners():
    image = torch.arange(3 * 16, dtype=torch.uint8).reshape(3, 4, 4)
    whole = {"left": 0, "top": 0, "width": 4, "height": 4}
    still = apply_crop(image, Crop(**whole, mirrored=False, upside_down=False, turned=False), 4)
    assert torch.equal(still, image)
    moved = apply_crop(image, Crop(**whole, mirrored=True, upside_down=True, turned=False), 4)
    assert torch.equal(moved, image.flip(1, 2))
    turned = apply_crop(image, Crop(**whole, mirrored=False, upside_down=False, turned=True), 4)
    assert torch.equal(turned, torch.rot90(image, dims=(1, 2)))


@pytest.mark.parametrize(
    ("number", "values", "operation"),
    [
        (0, [0.6, 1.0, 1.4], F.adjust_brightness),
        (1, [0.6, 1.0, 1.4], F.adjust_contrast),
        (2, [0.0, 0.8, 1.4], F.adjust_saturation),
        (3, [-0.1, 0.0, 0.5], F.adjust_hue),
    ],
)
def test_jitter_is_torchvisions_on_every_image(number, values, operation):
    images = pictures(3)
    factors = torch.tensor([[1.0, 1.0, 1.0, 0.0]]).repeat(3, 1)
    factors[:, number] = torch.tensor(values)
    order = torch.full((3, 4), -1)
    order[:, 2] = number
    found = augment(images, parameters(3, factors=factors, order=order), 9)
    expected = torch.stack([operation(image, value) for image, value in zip(images, values, strict=True)])
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)


def test_order_of_the_jitter_counts():
    images = pictures(2)
    factors = torch.tensor([[1.4, 1.4, 0.5, 0.1]]).repeat(2, 1)
    found = augment(images, parameters(2, factors=factors, order=torch.tensor([[0, 1, 2, 3], [3, 2, 1, 0]])), 9)
    first, second = images
    for function, value in ((F.adjust_brightness, 1.4), (F.adjust_contrast, 1.4), (F.adjust_saturation, 0.5), (F.adjust_hue, 0.1)):
        first = function(first, value)
    for function, value in ((F.adjust_hue, 0.1), (F.adjust_saturation, 0.5), (F.adjust_contrast, 1.4), (F.adjust_brightness, 1.4)):
        second = function(second, value)
    torch.testing.assert_close(found, torch.stack([first, second]), rtol=0, atol=5e-6)


def test_blur_grey_and_solarize_are_torchvisions_where_chosen():
    images = pictures(4)
    chosen = torch.tensor([True, False, True, False])
    sigma = torch.tensor([0.4, 0.0, 1.7, 0.0])
    blurred = augment(images, parameters(4, sigma=sigma), 9)
    for image, found, value in zip(images, blurred, sigma.tolist(), strict=True):
        torch.testing.assert_close(found, F.gaussian_blur(image, [9, 9], [value, value]) if value else image, rtol=0, atol=1e-6)
    grey = augment(images, parameters(4, grey=chosen), 9)
    solarized = augment(images, parameters(4, solarized=chosen), 9)
    for number, image in enumerate(images):
        torch.testing.assert_close(grey[number], F.rgb_to_grayscale(image, 3) if chosen[number] else image)
        torch.testing.assert_close(solarized[number], F.solarize(image, 0.5) if chosen[number] else image)


def test_an_image_does_not_depend_on_its_batch():
    settings = ByolBackboneSettings(crop_size=40, blur_kernel=9)
    drawn = [draw_photometry(np.random.default_rng(seed), seed % 2, settings) for seed in range(12)]
    images = pictures(12)
    together = augment(images, Photometry.stack(drawn), 9)
    for number in range(12):
        alone = augment(images[number : number + 1], Photometry.stack(drawn[number : number + 1]), 9)
        torch.testing.assert_close(together[number : number + 1], alone, rtol=0, atol=1e-6)


def test_probabilities_are_those_of_the_view():
    settings = ViewSettings(blur=[1.0, 0.1], solarize=[0.0, 0.2], jitter=0.8, grey=0.2)
    for view, blur, solarize in ((0, 1.0, 0.0), (1, 0.1, 0.2), (2, 1.0, 0.0)):
        drawn = Photometry.stack([draw_photometry(np.random.default_rng([view, seed]), view, settings) for seed in range(600)])
        assert (drawn.sigma > 0).float().mean().item() == pytest.approx(blur, abs=0.05)
        assert drawn.solarized.float().mean().item() == pytest.approx(solarize, abs=0.05)
        assert (drawn.order[:, 0] >= 0).float().mean().item() == pytest.approx(0.8, abs=0.06)
        assert drawn.grey.float().mean().item() == pytest.approx(0.2, abs=0.06)
        assert (drawn.factors - torch.tensor([1.0, 1.0, 1.0, 0.0])).abs().amax(0).tolist() == pytest.approx([0.4, 0.4, 0.2, 0.1], abs=0.01)


def test_constant_images_stay_finite():
    images = torch.cat([torch.zeros(2, 3, 40, 40), torch.ones(2, 3, 40, 40), torch.full((2, 3, 40, 40), 0.5)])
    drawn = Photometry.stack([draw_photometry(np.random.default_rng(seed), 1, ViewSettings(solarize=[1.0, 1.0])) for seed in range(6)])
    views = normalised_views(augment(images, drawn, 9))
    assert torch.isfinite(views).all()
    assert views.std(dim=(2, 3)).max() < 1e-5


def test_views_follow_the_draw_and_no_two_of_them_are_alike(tmp_path):
    settings = ByolBackboneSettings(crop_size=40, blur_kernel=9)
    dataset = ViewDataset(TileIndex.read(draw_tables(tmp_path, 2, side=48).tiles), settings, "backbone")
    views = [view for draw in (Draw(0, 0), Draw(0, 1), Draw(1, 0)) for view in dataset[draw]]
    again = [view for draw in (Draw(0, 0), Draw(0, 1), Draw(1, 0)) for view in dataset[draw]]
    assert all(torch.equal(crop, same) for (crop, _), (same, _) in zip(views, again, strict=True))
    assert all(torch.equal(colours.factors, same.factors) for (_, colours), (_, same) in zip(views, again, strict=True))
    for (crop, colours), (other, other_colours) in combinations(views, 2):
        assert not torch.equal(crop, other)
        assert not torch.equal(colours.factors, other_colours.factors)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"blur_kernel": 8}, "odd"),
        ({"crop_size": 32, "blur_kernel": 65}, "too large"),
        ({"blur_sigma": [2.0, 1.0]}, "smaller one first"),
        ({"blur": [0.5]}, "at least 2"),
    ],
)
def test_impossible_views_are_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        ViewSettings(**changes)
