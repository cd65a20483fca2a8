"""Fixtures of all tests."""

import pytest

from mutdet.proposals import precision


@pytest.fixture
def bfloat16_is_computed(monkeypatch):
    """Precision bfloat16 is computed as such on every processor, slowly where it must be."""
    monkeypatch.setattr(precision, "_processor_computes_bfloat16", lambda: True)
    precision.computed_dtype.cache_clear()
    yield
    precision.computed_dtype.cache_clear()
