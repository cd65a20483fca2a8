"""Contrastive alignment against loops over pairs."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, normalize

from mutdet.pretraining.contrast import contrastive_alignment


def _loops(predictions, objects, target, temperature):
    """Definition, pair by pair."""

    def likeness(i, j):
        return math.exp(float(torch.cosine_similarity(predictions[i], objects[j], dim=0)) / temperature)

    used = sorted(set(target.tolist()))
    total = 0.0
    for i, j in enumerate(target.tolist()):
        total -= math.log(likeness(i, j) / sum(likeness(i, other) for other in used))
        negatives = sum(likeness(k, j) for k, other in enumerate(target.tolist()) if other != j)
        total -= math.log(likeness(i, j) / (likeness(i, j) + negatives))
    return 2 * temperature * total / len(target)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.lists(st.integers(0, 100), min_size=1, max_size=14), st.sampled_from([0.07, 0.2, 1.0]), st.integers(0, 1000))
def test_equals_loops_over_pairs(objects, targets, temperature, seed):
    torch.manual_seed(seed)
    target = torch.tensor(targets) % objects
    z, o = torch.randn(len(targets), 5, dtype=torch.float64), torch.randn(objects, 5, dtype=torch.float64)
    assert contrastive_alignment(z, o, target, temperature).item() == pytest.approx(_loops(z, o, target, temperature), abs=2e-5)


def test_one_prediction_per_object_is_the_published_loss():
    torch.manual_seed(0)
    z, o, target = torch.randn(7, 16), torch.randn(9, 16), torch.tensor([8, 0, 3, 1, 7, 4, 2])
    similarity = normalize(z, dim=-1) @ normalize(o, dim=-1)[target].T / 0.2
    published = 0.4 * (cross_entropy(similarity, torch.arange(7)) + cross_entropy(similarity.T, torch.arange(7)))
    torch.testing.assert_close(contrastive_alignment(z, o, target, 0.2), published)


def test_copies_of_an_object_are_not_its_negatives():
    torch.manual_seed(0)
    o = torch.randn(1, 8)
    z = torch.randn(5, 8, requires_grad=True)
    loss = contrastive_alignment(z, o, torch.zeros(5, dtype=torch.int64), 0.2)
    loss.backward()
    assert loss.item() == 0
    assert z.grad.abs().max() == 0


def test_no_pair_gives_zero_with_a_gradient():
    z = torch.randn(0, 8, requires_grad=True)
    loss = contrastive_alignment(z, torch.zeros(0, 8), torch.zeros(0, dtype=torch.int64), 0.2)
    loss.backward()
    assert loss.item() == 0
    assert z.grad.shape == (0, 8)


def test_both_sides_are_pulled_together():
    torch.manual_seed(0)
    z, o = torch.randn(4, 8, requires_grad=True), torch.randn(4, 8, requires_grad=True)
    contrastive_alignment(z, o, torch.arange(4), 0.2).backward()
    assert z.grad.abs().sum() > 0
    assert o.grad.abs().sum() > 0
