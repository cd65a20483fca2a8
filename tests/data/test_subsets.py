"""Shares of labelled images."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mutdet.data.subsets import choose_images

IMAGES = {f"P{number:04d}": {"plane"} if number % 3 else {"ship", "car"} for number in range(30)} | {"P0007": {"harbour"}, "P0030": set()}


def test_values_are_the_same_on_every_machine():
    assert choose_images(IMAGES, 0.1, 0) == ["P0007", "P0019", "P0021", "P0029"]
    assert choose_images(IMAGES, 0.1, 1) != choose_images(IMAGES, 0.1, 0)


def test_all_labels_are_all_images():
    assert choose_images(IMAGES, 1.0, 0) == sorted(IMAGES)


def test_order_of_the_table_does_not_matter():
    assert choose_images(dict(reversed(IMAGES.items())), 0.3, 5) == choose_images(IMAGES, 0.3, 5)


@pytest.mark.parametrize(("fraction", "count"), [(0.5, 16), (0.25, 8), (0.2, 7)])
def test_share_is_rounded_up(fraction, count):
    assert len(choose_images(IMAGES, fraction, 3)) == count


_IMAGES = st.dictionaries(st.text("xyz01_", min_size=1, max_size=6), st.sets(st.sampled_from("abcdef"), max_size=3), min_size=1, max_size=25)


@given(_IMAGES, st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 9))
def test_shares_are_nested_and_hold_every_class(images, first, second, seed):
    small, large = (set(choose_images(images, fraction, seed)) for fraction in sorted((first, second)))
    assert small <= large <= set(images)
    assert set().union(*(images[name] for name in small)) == set().union(*images.values())
    assert len(small) >= min(first, second) * len(images) - 1e-5


def test_seeds_choose_evenly():
    names = {f"i{number}": {"a"} for number in range(20)}
    counts = dict.fromkeys(names, 0)
    for seed in range(200):
        for name in choose_images(names, 0.25, seed):
            counts[name] += 1
    assert all(25 < count < 80 for count in counts.values())
