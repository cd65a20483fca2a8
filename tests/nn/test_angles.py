"""Codings of angles: what they give is what they ask for, and costs agree with losses."""

import math

import pytest
import torch

from mutdet.nn.angles import ClassifiedAngle, RegressedAngle

ANGLES = torch.tensor([-math.pi / 2, -1.0, -0.2, 0.0, 0.7, math.pi / 2 - 1e-3], dtype=torch.float64)
RATIOS = torch.tensor([1.0, 1.5, 2.0, 3.0, 5.0, 9.0], dtype=torch.float64)
CODINGS = [ClassifiedAngle(180), RegressedAngle()]


@pytest.mark.parametrize("coding", CODINGS, ids=["classified", "regressed"])
def test_costs_of_pairs_are_their_losses(coding):
    targets, _ = coding.targets(ANGLES, RATIOS)
    outputs = torch.randn(2, 1, 4, coding.outputs, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    costs = coding.pair_costs(outputs, targets[None])
    assert costs.shape == (2, 1, 4, 6)
    for layer in range(2):
        for query in range(4):
            expected = coding.losses(outputs[layer, 0, query].expand(6, -1), targets)
            torch.testing.assert_close(costs[layer, 0, query], expected)


def test_regressed_angles_come_back():
    coding = RegressedAngle()
    targets, weights = coding.targets(ANGLES, RATIOS)
    outputs = targets.clamp(1e-9, 1 - 1e-9).logit()
    torch.testing.assert_close(coding.decode(outputs), ANGLES, atol=1e-6, rtol=0)
    assert coding.losses(outputs, targets).max() < 1e-8
    assert torch.equal(weights, torch.ones(6, dtype=torch.float64))


def test_regressed_angles_are_apart_by_their_share_of_the_half_turn():
    coding = RegressedAngle()
    targets, _ = coding.targets(ANGLES, RATIOS)
    level = torch.zeros(6, 1, dtype=torch.float64)  # angle 0
    torch.testing.assert_close(coding.losses(level, targets), ANGLES.abs() / math.pi)


def test_classified_angles_come_back_to_half_a_bin():
    coding = ClassifiedAngle(180)
    targets, weights = coding.targets(ANGLES, RATIOS)
    assert (coding.decode(targets) - ANGLES).abs().max() <= math.pi / 360 + 1e-6
    torch.testing.assert_close(weights, 2 * RATIOS / (RATIOS + 1))


def test_classified_losses_are_binary_cross_entropies():
    coding = ClassifiedAngle(12)
    targets, _ = coding.targets(ANGLES, RATIOS)
    logits = torch.randn(6, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = logits.sigmoid()
    expected = -(targets * p.log() + (1 - targets) * (1 - p).log()).mean(-1)
    torch.testing.assert_close(coding.losses(logits, targets), expected)
