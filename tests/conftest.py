"""Fixtures of all tests."""

import pytest

from mutdet.proposals import precision


@pytest.fixture
def bfloat16_is_computed(monkeypatch):
    """Precision bfloat16 is computed as such on every processor, slowly where it must be."""
    monkeypatch.setattr(precision, "_processor_computes_bfloat16", lambda: True)
    precision.computed_precision.cache_clear()
    yield
    precision.computed_precision.cache_clear()


@pytest.fixture
def no_bfloat16(bfloat16_is_computed, monkeypatch):
    """The processor has no instructions for bfloat16."""
    monkeypatch.setattr(precision, "_processor_computes_bfloat16", lambda: False)
