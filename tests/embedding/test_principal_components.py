"""Principal components against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from threadpoolctl import threadpool_limits

from mutdet.embedding.principal_components import fit_principal_components, whitened


def features(rows: int, width: int, offset: float = 3.0) -> np.ndarray:
    random = np.random.default_rng(0)
    scales = 1 / np.arange(1, width + 1)
    return (random.normal(size=(rows, width)) * scales @ np.linalg.qr(random.normal(size=(width, width)))[0] + offset).astype(np.float32)


def blocks(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


@pytest.mark.parametrize("offset", [0.0, 3.0, 300.0])
def test_equals_scikit_learn_up_to_sign(offset: float) -> None:
    x = features(1500, 60, offset)
    found = fit_principal_components(blocks(x, 128), 60, 20)
    expected = PCA(20, svd_solver="full").fit(x.astype(np.float64))
    signs = np.sign((found.components * expected.components_).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found.components * signs, expected.components_, atol=1e-4)
    np.testing.assert_allclose(found.explained_variance, expected.explained_variance_, rtol=1e-6)
    np.testing.assert_allclose(found.mean, expected.mean_, rtol=1e-10)
    assert found.total_variance == pytest.approx(x.astype(np.float64).var(axis=0, ddof=1).sum())


def test_whitened_equals_scikit_learn_up_to_sign() -> None:
    x = features(1500, 60)
    found = fit_principal_components(blocks(x, 128), 60, 20)
    expected = PCA(20, whiten=True, svd_solver="full").fit_transform(x.astype(np.float64))
    projected = (x - found.mean) @ whitened(found).T
    np.testing.assert_allclose(np.abs(projected), np.abs(expected), atol=1e-4)
    np.testing.assert_allclose(np.cov(projected.T), np.eye(20), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 200))
def test_block_size_changes_rounding_only(size: int) -> None:
    x = features(200, 16)
    whole, cut = (fit_principal_components(blocks(x, n), 16, 8) for n in (200, size))
    np.testing.assert_allclose(cut.components, whole.components, atol=1e-8)


def test_largest_coefficient_is_positive() -> None:
    components = fit_principal_components([features(500, 30)], 30, 30).components
    assert (np.take_along_axis(components, np.abs(components).argmax(1)[:, None], 1) > 0).all()


@pytest.mark.parametrize(("rows", "directions"), [(1, 0), (2, 1), (5, 4)])
def test_directions_that_the_data_lacks_are_zero(rows: int, directions: int) -> None:
    found = fit_principal_components([features(rows, 12)], 12, 16)
    lengths = np.linalg.norm(found.components, axis=1)
    np.testing.assert_allclose(lengths, [1.0] * directions + [0.0] * (16 - directions), atol=1e-12)
    assert (found.explained_variance[directions:] == 0).all()
    assert (whitened(found)[directions:] == 0).all()


def test_no_rows() -> None:
    found = fit_principal_components([], 4, 2)
    assert found.rows == 0
    assert np.isfinite(found.components).all()


@pytest.mark.parametrize("width", [40, 1100])
def test_threads_change_no_bit(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = features(300, width)
    found = []
    for number in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", number)
        with threadpool_limits(limits=1):
            found.append(fit_principal_components(blocks(x, 128), width, 8))
    np.testing.assert_array_equal(found[0].components, found[1].components)
    np.testing.assert_allclose(found[0].explained_variance, PCA(8, svd_solver="full").fit(x.astype(np.float64)).explained_variance_, rtol=1e-6)
