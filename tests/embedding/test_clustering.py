"""K-means on an even sample."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from mutdet.embedding.clustering import even_sample, fit_centres
from mutdet.embedding.unit_vectors import unit_length


def test_finds_separate_groups() -> None:
    random = np.random.default_rng(0)
    truth = np.repeat(np.arange(5), 40)
    x = unit_length(random.normal(size=(5, 16))[truth] + 0.05 * random.normal(size=(200, 16)))
    centres = fit_centres(x, 5, iterations=50, restarts=3, seed=0)
    assert adjusted_rand_score(truth, (x @ centres.T).argmax(1)) == 1
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1)


def test_centres_follow_from_the_seed() -> None:
    """Directions without groups, where every start of k-means ends elsewhere."""
    x = unit_length(np.random.default_rng(0).normal(size=(200, 16)))
    first, again, other = (fit_centres(x, 8, iterations=3, restarts=1, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(np.sort(first, axis=0) - np.sort(other, axis=0)).max() > 0.1


@pytest.mark.parametrize("rows", [1, 3])
def test_fewer_rows_than_clusters(rows: int) -> None:
    x = unit_length(np.random.default_rng(0).normal(size=(rows, 4)))
    assert len(fit_centres(x, 8, iterations=5, restarts=1, seed=0)) == rows


def test_equal_rows_do_not_warn(recwarn: pytest.WarningsRecorder) -> None:
    assert np.isfinite(fit_centres(np.eye(4)[np.zeros(10, int)], 3, iterations=5, restarts=1, seed=0)).all()
    assert not list(recwarn)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 80), st.integers(1, 100), st.integers(1, 30))
def test_sample_has_the_wanted_rows_in_order(rows: int, wanted: int, size: int) -> None:
    stream = np.arange(rows)
    drawn = np.concatenate(list(even_sample((stream[i : i + size] for i in range(0, rows, size)), rows, wanted, seed=0)))
    assert len(drawn) == min(rows, wanted)
    assert (np.diff(drawn) > 0).all()


def test_sample_is_even() -> None:
    counts = np.zeros(20)
    for seed in range(2000):
        counts[np.concatenate(list(even_sample((np.arange(20)[i : i + 6] for i in range(0, 20, 6)), 20, 5, seed)))] += 1
    assert counts.sum() == 2000 * 5
    assert np.abs(counts - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


def test_zero_has_unit_length_too() -> None:
    np.testing.assert_array_equal(unit_length(np.array([[0.0, 0.0], [3.0, 4.0]])), [[1.0, 0.0], [0.6, 0.8]])
