"""AR-CSL against exact polygon IoU, the vectors of docs/method.md B and the released coder's values."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mutdet.geometry.angle_code import aspect_ratio_aware_label, concentric_iou, decode_angle
from mutdet.geometry.iou import rotated_iou_pairs

REFERENCE = Path(__file__).parents[2].parent / "shared" / "checks" / "ar_csl" / "expected.npz"
RATIOS = torch.tensor([[1.0], [2.0], [5.0]], dtype=torch.float64)
ratios = st.floats(1, 50) | st.just(1.0) | st.floats(1, 1.0001)
angles = st.floats(-math.pi / 2, math.pi / 2, exclude_max=True)


def test_overlaps_of_the_published_vectors():
    turns = torch.deg2rad(torch.tensor([5.0, 10, 30], dtype=torch.float64))
    expected = [[0.9231, 0.8632, 0.7321], [0.9030, 0.8254, 0.6233], [0.8016, 0.6453, 0.2500]]
    np.testing.assert_allclose(concentric_iou(turns, RATIOS).numpy(), expected, atol=5e-5)


def test_labels_of_the_published_vectors():
    label = aspect_ratio_aware_label(torch.zeros(2), torch.tensor([2.0, 5.0]))
    np.testing.assert_allclose(label[:, [95, 100, 120]].numpy(), [[0.8545, 0.7382, 0.4350], [0.7768, 0.6010, 0.1563]], atol=5e-5)


@settings(max_examples=100, deadline=None)
@given(ratios)
def test_overlap_is_that_of_the_rectangles(ratio):
    turns = np.deg2rad(np.concatenate([np.arange(0, 91), [89.999, 90 - 1e-7]]))
    upright = np.tile([0, 0, ratio, 1.0, 0], (len(turns), 1))
    turned = upright.copy()
    turned[:, 4] = turns
    computed = concentric_iou(torch.from_numpy(turns), torch.tensor(ratio, dtype=torch.float64)).numpy()
    np.testing.assert_allclose(computed, rotated_iou_pairs(upright, turned), atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(angles, ratios)
def test_label_is_finite_peaked_at_its_bin_and_symmetric(angle, ratio):
    label = aspect_ratio_aware_label(torch.tensor([angle], dtype=torch.float64), torch.tensor([ratio]))[0]
    peaks = torch.nonzero(label == 1).ravel()
    nearest = min(peaks.tolist(), key=lambda peak: abs(math.degrees(angle) - (peak + 0.5 - 90)))
    assert torch.isfinite(label).all()
    assert label.min() == 0
    assert label.max() == 1
    assert abs(math.degrees(angle) - (nearest + 0.5 - 90)) <= 0.5 + 1e-6
    centred = torch.roll(label, 90 - nearest)
    assert torch.allclose(centred[1:90].flip(0), centred[91:], atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(angles, st.floats(1.1, 50))
def test_decoding_a_label_is_within_half_a_degree(angle, ratio):
    label = aspect_ratio_aware_label(torch.tensor([angle], dtype=torch.float64), torch.tensor([ratio]))
    assert abs(decode_angle(label).item() - angle) <= math.radians(0.5) + 1e-7


def test_a_square_looks_the_same_after_a_quarter_turn():
    label = aspect_ratio_aware_label(torch.zeros(1), torch.ones(1))[0]
    assert label[0] == pytest.approx(1)
    assert label[45] == 0


def test_bin_edges_and_types():
    edges = torch.tensor([-math.pi / 2, 0.0, math.radians(1.0001), math.radians(89.5)])
    label = aspect_ratio_aware_label(edges, torch.full((4,), 3.0))
    assert label.dtype == torch.float32
    assert label.argmax(dim=1).tolist() == [0, 90, 91, 179]
    assert aspect_ratio_aware_label(torch.zeros(0), torch.zeros(0)).shape == (0, 180)
    assert decode_angle(torch.zeros(2, 3, 180)).shape == (2, 3)


@pytest.mark.skipif(not REFERENCE.is_file(), reason="the reference values of the released coder are not beside this checkout")
def test_is_the_released_coder():
    reference = np.load(REFERENCE)
    label = aspect_ratio_aware_label(torch.from_numpy(reference["angle"]), torch.from_numpy(reference["aspect_ratio"]))
    np.testing.assert_allclose(label.numpy(), reference["target"], atol=1e-5)
    np.testing.assert_allclose(decode_angle(label).numpy(), reference["decoded"], atol=1e-5)
