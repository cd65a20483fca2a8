"""IoU and suppression of tensors: the twins for arrays as reference."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mutdet.geometry import iou, nms
from mutdet.geometry.iou_torch import overlapping_pairs, rotated_iou, rotated_iou_pairs, rotated_nms
from mutdet.geometry.rotated_boxes import corners

DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]


def boxes_in(r, count, extent=60.0):
    """Boxes of sides 0.1 to 100 px, far from the origin, some near-identical to the one before."""
    boxes = np.column_stack([r.uniform(0, extent, (count, 2)) + 3000, np.exp(r.uniform(np.log(0.1), np.log(100), (count, 2))), r.uniform(-4, 4, count)])
    near = 1 + np.flatnonzero(r.random(max(count - 1, 0)) < 0.2)
    boxes[near] = boxes[near - 1] + r.normal(0, 1e-9, (len(near), 5))
    return boxes


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_iou_is_that_of_arrays(device, seed):
    r = np.random.default_rng(seed)
    a, b = boxes_in(r, 40), boxes_in(r, 30)
    a[:5, 4], b[:3] = 0, a[:3]
    found = rotated_iou(torch.tensor(a, device=device), torch.tensor(b, device=device))
    np.testing.assert_allclose(found.cpu(), iou.rotated_iou(a, b), atol=1e-9)
    rows, columns = overlapping_pairs(torch.tensor(a, device=device), torch.tensor(b, device=device))
    outlines = [np.concatenate([corners(x).min(1), corners(x).max(1)], 1) for x in (a, b)]
    expected = iou.overlapping_pairs(*outlines)
    np.testing.assert_array_equal(rows.cpu(), expected[0])
    np.testing.assert_array_equal(columns.cpu(), expected[1])


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ([0, 0, 10, 10, 0], [10, 0, 10, 10, 0], 0),
        ([0, 0, 0, 0, 0], [0, 0, 0, 0, 0], 0),
        ([0, 0, 10, 0, 0.3], [0, 0, 10, 0, 0.3], 0),
        ([0, 0, 10, 10, 0], [0, 0, 5, 5, 0], 0.25),
        ([1e9, -1e9, 30, 20, 0.3], [1e9, -1e9, 30, 20, 0.3], 1),
        ([299.5, 417.370422, 600, 364.259186, 0.4], [299.5, 417.370422, 600, 364.259155, 0.4], 364.259155 / 364.259186),
        ([0, 0, float("nan"), 10, 0], [0, 0, 5, 5, 0], 0),
    ],
)
def test_known_values(a, b, expected):
    assert rotated_iou_pairs(torch.tensor([a], dtype=torch.float64), torch.tensor([b], dtype=torch.float64)).item() == pytest.approx(expected, abs=1e-9)


def test_gradient_is_the_slope():
    r = np.random.default_rng(0)
    a = torch.tensor(boxes_in(r, 12, 10.0)[::2], requires_grad=True)
    b = torch.tensor(boxes_in(np.random.default_rng(1), 12, 10.0)[::2], requires_grad=True)
    assert torch.autograd.gradcheck(rotated_iou_pairs, (a, b), eps=1e-7, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("threshold", [1e-6, 0.1, 0.5, 1.0])  # at 0, rounding would decide on boxes that only touch
@pytest.mark.parametrize("count", [0, 1, 7, 300])
def test_suppression_is_that_of_arrays(device, threshold, count, monkeypatch):
    monkeypatch.setattr("mutdet.geometry.iou_torch._COMPARISONS_AT_ONCE", 5000)
    monkeypatch.setattr("mutdet.geometry.iou_torch._PAIRS_AT_ONCE", 100)
    r = np.random.default_rng(count)
    boxes, scores = boxes_in(r, count, 150.0), np.round(r.random(count), 1)
    kept = rotated_nms(torch.tensor(boxes, device=device), torch.tensor(scores, device=device), threshold)
    np.testing.assert_array_equal(kept.cpu(), nms.rotated_nms(boxes, scores, threshold))


def test_a_chain_of_conflicts_keeps_every_second_box():
    chain = torch.tensor([[4.0 * i, 0, 10, 10, 0] for i in range(101)], dtype=torch.float64)
    kept = rotated_nms(chain, torch.arange(101, 0, -1), 0.4)
    assert kept.tolist() == list(range(0, 101, 2))
