"""Box contrast against loops over instances and pairs."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mutdet.pretraining.box_contrast import box_contrast


def _loops(online, online_ids, average, average_ids, temperature):
    """Definition, instance by instance."""

    def likeness(a, b):
        return math.exp(float(torch.cosine_similarity(a, b, dim=0)) / temperature)

    boxes = [(v, i, "online") for v, i in zip(online, online_ids.tolist(), strict=True)]
    boxes += [(v, i, "average") for v, i in zip(average, average_ids.tolist(), strict=True)]
    instances = sorted({i for _, i, view in boxes if view == "online" and i != -1})
    losses = []
    for instance in instances:
        queries = [v for v, i, view in boxes if view == "online" and i == instance]
        keys = [v for v, i, view in boxes if view == "average" and i == instance] or queries
        negatives = [v for v, i, _ in boxes if i != instance]
        pairs = [-math.log(likeness(q, k) / (likeness(q, k) + sum(likeness(q, n) for n in negatives))) for q in queries for k in keys]
        losses.append(sum(pairs) / len(pairs))
    return sum(losses) / len(losses) if losses else 0.0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(-1, 4), min_size=1, max_size=10), st.lists(st.integers(-1, 4), max_size=10), st.sampled_from([0.1, 0.5]), st.integers(0, 999))
def test_equals_loops_over_pairs(online_ids, average_ids, temperature, seed):
    random = torch.Generator().manual_seed(seed)
    z, k = (torch.randn(len(ids), 6, generator=random, dtype=torch.float64) for ids in (online_ids, average_ids))
    ids = torch.tensor(online_ids), torch.tensor(average_ids, dtype=torch.int64)
    assert box_contrast(z, ids[0], k, ids[1], temperature).item() == pytest.approx(_loops(z, ids[0], k, ids[1], temperature), abs=2e-5)


def test_background_is_no_instance_but_a_negative():
    """The released code gives background an id that an instance may have, too."""
    z, k = torch.eye(3)[:2], torch.eye(3)[:1]
    with_background = box_contrast(z, torch.tensor([0, -1]), k, torch.tensor([0]), 0.5)
    assert with_background.item() == pytest.approx(math.log((math.exp(2) + 1) / math.exp(2)), abs=1e-6)
    assert box_contrast(z[:1], torch.tensor([0]), k, torch.tensor([0]), 0.5).item() == 0
    assert box_contrast(z, torch.tensor([-1, -1]), k, torch.tensor([-1]), 0.5).item() == 0


def test_only_queries_have_a_gradient():
    random = torch.Generator().manual_seed(0)
    z, k = torch.randn(4, 6, generator=random, requires_grad=True), torch.randn(3, 6, generator=random, requires_grad=True)
    box_contrast(z, torch.tensor([0, 1, -1, 2]), k, torch.tensor([0, -1, 1]), 0.5).backward()
    assert k.grad is None
    assert (z.grad.abs().sum(dim=1) > 0).tolist() == [True, True, False, True]


def test_nothing_to_contrast_gives_zero_with_a_gradient():
    z = torch.randn(2, 4, requires_grad=True)
    box_contrast(z, torch.tensor([-1, -1]), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), 0.5).backward()
    assert not z.grad.any()
