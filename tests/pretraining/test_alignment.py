"""Distances of embeddings against loops."""

import math

import pytest
import torch

from mutdet.pretraining.alignment import absolute_distance, contrast, gathered_embeddings, squared_distance, squared_distance_of_directions
from mutdet.pretraining.contrast import contrastive_alignment

TARGET = torch.tensor([2, 0, 2, 1])


@pytest.fixture
def vectors():
    random = torch.Generator().manual_seed(0)
    return torch.randn(4, 5, generator=random, dtype=torch.float64), torch.randn(3, 5, generator=random, dtype=torch.float64)


def test_absolute_distance_is_the_mean_over_components(vectors):
    z, o = (part.tolist() for part in vectors)
    expected = sum(abs(a - b) for row, j in zip(z, TARGET.tolist(), strict=True) for a, b in zip(row, o[j], strict=True)) / (4 * 5)
    assert absolute_distance(*vectors, TARGET).item() == pytest.approx(expected, abs=1e-12)


def test_squared_distance_is_the_sum_over_components(vectors):
    z, o = (part.tolist() for part in vectors)
    expected = sum(math.dist(row, o[j]) ** 2 for row, j in zip(z, TARGET.tolist(), strict=True)) / 4
    assert squared_distance(*vectors, TARGET).item() == pytest.approx(expected, abs=1e-12)


def test_distance_of_directions_is_two_less_twice_the_cosine(vectors):
    z, o = vectors
    expected = sum(2 - 2 * float(torch.cosine_similarity(z[i], o[j], dim=0)) for i, j in enumerate(TARGET.tolist())) / 4
    assert squared_distance_of_directions(z, o, TARGET).item() == pytest.approx(expected, abs=1e-6)


def test_distance_of_directions_moves_predictions_alone(vectors):
    z, o = (part.requires_grad_() for part in vectors)
    squared_distance_of_directions(z, o, TARGET).backward()
    assert z.grad.abs().sum() > 0
    assert o.grad is None


@pytest.mark.parametrize("distance", [absolute_distance, squared_distance, squared_distance_of_directions, contrast(0.2, gather=True)])
def test_no_prediction_gives_zero_with_a_gradient(distance):
    z = torch.zeros(0, 5, requires_grad=True)
    loss = distance(z, torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0
    assert z.grad.shape == (0, 5)


def test_contrast_keeps_its_temperature(vectors):
    assert torch.equal(contrast(0.7, gather=True)(*vectors, TARGET), contrastive_alignment(*vectors, TARGET, 0.7))
    assert not torch.equal(contrast(0.7, gather=True)(*vectors, TARGET), contrast(0.2, gather=True)(*vectors, TARGET))


def test_a_missing_embedding_is_an_error():
    with pytest.raises(ValueError, match="embedding of every object"):
        gathered_embeddings([torch.zeros(1, 3), None])
