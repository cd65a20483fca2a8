"""Averages and schedules against closed forms."""

import math

import pytest
import torch
from torch import nn

from mutdet.pretraining.selfsup.moving_average import follow, follower, keep_at
from mutdet.pretraining.selfsup.schedule import cosine_factor


def test_average_of_a_moving_network_is_the_geometric_sum():
    network = nn.Linear(1, 1, bias=False)
    nn.init.constant_(network.weight, 8.0)
    average = follower(network)
    values = [3.0, -1.0, 4.0, 2.0]
    for value in values:
        nn.init.constant_(network.weight, value)
        follow(network, average, 0.9)
    expected = 0.9**4 * 8.0 + sum(0.1 * 0.9 ** (3 - i) * value for i, value in enumerate(values))
    assert average.weight.item() == pytest.approx(expected)
    assert not average.weight.requires_grad


def test_average_covers_parameters_and_not_the_statistics_of_normalisation():
    network = nn.BatchNorm1d(2)
    average = follower(network)
    nn.init.constant_(network.weight, 3.0)
    network.running_mean.fill_(7.0)
    follow(network, average, 0.5)
    assert average.weight.tolist() == [2.0, 2.0]
    assert average.running_mean.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("start", [0.97, 0.99, 0.996])
def test_kept_share_is_byols(start):
    for k in range(0, 101, 10):
        assert keep_at(k / 100, start, 1.0) == pytest.approx(1 - (1 - start) * (math.cos(math.pi * k / 100) + 1) / 2)
    assert keep_at(0.0, start, 0.5) == pytest.approx(start)
    assert keep_at(1.0, start, 0.5) == pytest.approx(0.5)


def test_learning_rate_rises_in_a_line_and_falls_along_a_cosine():
    factors = [cosine_factor(step, 110, 10) for step in range(110)]
    assert factors[:10] == pytest.approx([i / 10 for i in range(1, 11)])
    assert factors[10] == 1.0
    assert factors[60] == pytest.approx(0.5)
    assert factors[10:] == pytest.approx([0.5 * (1 + math.cos(math.pi * i / 100)) for i in range(100)])
    assert cosine_factor(0, 1, 0) == 1.0


def test_follower_shares_nothing_with_its_network():
    network = nn.Linear(2, 2)
    average = follower(network)
    with torch.no_grad():
        network.weight.add_(1.0)
    assert not torch.equal(network.weight, average.weight)
