"""Crops against a loop over pixels, and against torchvision's RoI-align where boxes are upright."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torchvision.ops import roi_align

from mutdet.embedding.rotated_crops import plain_rotated_crops, rotated_crops


def naive_sample(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """RoI-align's bilinear sample at continuous x, y (pixel i covers [i, i + 1))."""
    _, height, width = image.shape
    x, y = x - 0.5, y - 0.5
    if x < -1 or y < -1 or x > width or y > height:
        return np.zeros(len(image))
    x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
    x0, y0 = int(x), int(y)
    x1, y1 = min(x0 + 1, width - 1), min(y0 + 1, height - 1)
    fx, fy = x - x0, y - y0
    top = image[:, y0, x0] * (1 - fx) + image[:, y0, x1] * fx
    bottom = image[:, y1, x0] * (1 - fx) + image[:, y1, x1] * fx
    return top * (1 - fy) + bottom * fy


def naive_crop(image: np.ndarray, box: list[float], size: int, enlarge: float) -> np.ndarray:
    cx, cy, w, h, angle = box
    crop = np.zeros((len(image), size, size))
    for row in range(size):
        for column in range(size):
            for sy in (0.25, 0.75):
                for sx in (0.25, 0.75):
                    dx = ((column + sx) / size - 0.5) * w * enlarge
                    dy = ((row + sy) / size - 0.5) * h * enlarge
                    x = cx + dx * math.cos(angle) - dy * math.sin(angle)
                    y = cy + dx * math.sin(angle) + dy * math.cos(angle)
                    crop[:, row, column] += naive_sample(image, x, y) / 4
    return crop


def random_image(height: int = 20, width: int = 31) -> Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(0)) - 0.5


@pytest.mark.parametrize(("crops", "tolerance"), [(rotated_crops, 1e-6), (plain_rotated_crops, 2e-4)])  # plain: places in float32
@pytest.mark.parametrize("box", [[15.0, 10.0, 12.0, 5.0, 0.4], [2.0, 3.0, 9.0, 7.0, -1.5], [30.5, 19.0, 40.0, 30.0, 1.1], [-20.0, -20.0, 5.0, 4.0, 0.0]])
def test_equals_a_loop_over_pixels(box: list[float], crops: Callable[..., Tensor], tolerance: float) -> None:
    image = random_image()
    boxes = torch.tensor([box, [9.0, 9.0, 4.0, 3.0, 0.1]])
    for crop, own in zip(crops(image, boxes, 9, enlarge=1.5), boxes.tolist(), strict=True):
        np.testing.assert_allclose(crop.numpy(), naive_crop(image.numpy().astype(float), own, 9, 1.5), atol=tolerance)


def test_compiled_and_plain_agree_on_a_part_of_an_image() -> None:
    image = torch.rand(5, 40, 60)[:, :33, :47]
    boxes = torch.rand(6, 5) * torch.tensor([19.0, 13.0, 9.0, 4.0, 3.0]) + torch.tensor([14.0, 10.0, 1.0, 1.0, -1.5])
    torch.testing.assert_close(rotated_crops(image, boxes, 7), plain_rotated_crops(image, boxes, 7), atol=1e-4, rtol=0)


def test_a_box_without_numbers_reads_nothing() -> None:
    crops = rotated_crops(random_image(), torch.tensor([[math.nan, 3.0, 4.0, 5.0, 0.0], [5.0, 5.0, math.inf, 5.0, 0.0]]), 4)
    assert (crops == 0).all()


def test_a_gradient_reaches_the_image() -> None:
    image = random_image().requires_grad_()
    rotated_crops(image, torch.tensor([[8.0, 8.0, 8.0, 8.0, 0.3]]), 8).sum().backward()
    assert image.grad is not None
    assert image.grad.sum().item() == pytest.approx(3 * 64, rel=1e-4)


def test_upright_boxes_equal_roi_align() -> None:
    image = random_image()
    boxes = torch.tensor([[15.0, 10.0, 12.0, 5.0, 0.0], [1.0, 18.0, 14.0, 9.0, 0.0]])
    x1y1x2y2 = torch.cat([boxes[:, :2] - 0.75 * boxes[:, 2:4], boxes[:, :2] + 0.75 * boxes[:, 2:4]], dim=1)
    expected = roi_align(image[None], [x1y1x2y2], (8, 8), sampling_ratio=2, aligned=True)
    torch.testing.assert_close(rotated_crops(image, boxes, 8, enlarge=1.5), expected, atol=1e-5, rtol=0)


def test_angle_turns_clockwise() -> None:
    image = random_image(16, 16)
    upright = rotated_crops(image, torch.tensor([[8.0, 8.0, 8.0, 8.0, 0.0]]), 8)
    turned = rotated_crops(image, torch.tensor([[8.0, 8.0, 8.0, 8.0, math.pi / 2]]), 8)
    torch.testing.assert_close(turned, upright.rot90(1, dims=(2, 3)), atol=1e-5, rtol=0)


def test_no_boxes_give_no_crops() -> None:
    assert rotated_crops(random_image(), torch.zeros(0, 5), 8).shape == (0, 3, 8, 8)


@settings(max_examples=50, deadline=None)
@given(st.floats(5, 15), st.floats(5, 15), st.floats(1, 10), st.floats(1, 10), st.floats(-1.57, 1.57))
def test_a_ramp_is_sampled_exactly(cx: float, cy: float, w: float, h: float, angle: float) -> None:
    """Bilinear samples of a linear image are exact, so the crop's mean is the value at the box's centre."""
    ramp = (torch.arange(40) + 0.5).expand(1, 40, 40) + 2 * (torch.arange(40) + 0.5)[:, None]
    crop = rotated_crops(ramp, torch.tensor([[cx + 10, cy + 10, w, h, angle]]), 6)
    assert crop.mean().item() == pytest.approx(cx + 10 + 2 * (cy + 10), abs=1e-3)
