"""Windows against a brute-force reading of the rules."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mutdet.data.valid_data import ValidData
from mutdet.data.windows import Window, select_windows
from mutdet.settings.datasets import DatasetSettings

TILE_ID = re.compile(r"^.+__[\d.]+__-?\d+___-?\d+$")
SIZES = st.integers(1, 200)


def cut(**values):
    return DatasetSettings(images="images", **values)


def starts_by_walking(length, side, stride):
    """Walk along the axis; the first window that reaches the border is moved back onto it."""
    position = 0
    while True:
        if position + side >= length:
            yield max(0, length - side)
            return
        yield position
        position += stride


def reference(width, height, sides_and_strides, threshold):
    """(x, y, side) -> number of image pixels in the window, for the windows that pass."""
    content = {}
    for side, stride in sides_and_strides:
        for x in starts_by_walking(width, side, stride):
            for y in starts_by_walking(height, side, stride):
                canvas = np.zeros((y + side, x + side), bool)
                canvas[:height, :width] = True
                content[x, y, side] = int(canvas[y:, x:].sum()) / side**2
    passing = {key: share for key, share in content.items() if share > threshold}
    best = max(content.values())
    return (passing or {key: share for key, share in content.items() if share == best}), len(content)


@settings(deadline=None)
@given(SIZES, SIZES, st.integers(16, 120), st.integers(1, 120), st.sampled_from([0.0, 0.3, 0.6, 0.99, 1.0]))
def test_windows_are_those_of_the_rule(width, height, window, stride, threshold):
    dataset = cut(window=window, stride=max(window // 4, min(stride, window)), content_fraction=threshold)
    kept, dropped = select_windows(width, height, dataset)
    expected, total = reference(width, height, [(dataset.window, dataset.stride)], threshold)
    assert {(w.x, w.y, w.side): pytest.approx(w.content) for w in kept} == expected
    assert len(kept) == len(expected)
    assert dropped == total - len(expected)


@settings(deadline=None)
@given(SIZES, SIZES, st.integers(16, 90))
def test_every_pixel_lies_in_a_window(width, height, window):
    kept, _ = select_windows(width, height, cut(window=window, stride=window, content_fraction=0.0))
    seen = np.zeros((height, width), bool)
    for w in kept:
        assert 0 <= w.x < width
        assert 0 <= w.y < height
        seen[w.y : w.y + w.side, w.x : w.x + w.side] = True
    assert seen.all()


@settings(deadline=None)
@given(SIZES, SIZES, st.lists(st.sampled_from([0.5, 0.7, 0.75, 1.0, 1.1, 1.3, 2.0]), min_size=1, max_size=4, unique=True))
def test_scales_do_not_collide(width, height, scales):
    dataset = cut(window=64, stride=48, scales=scales)
    kept, dropped = select_windows(width, height, dataset)
    names = [w.tile_id("P0001__800__0___0") for w in kept]
    assert len(set(names)) == len(names)
    assert all(TILE_ID.match(name) for name in names)
    expected, total = reference(width, height, dataset.source_windows(), 0.6)
    assert {(w.x, w.y, w.side) for w in kept} == set(expected)
    assert dropped == total - len(expected)


def test_dota_windows_of_the_paper():
    kept, dropped = select_windows(2000, 800, cut())
    assert [(w.x, w.y, w.content) for w in kept] == [(0, 0, 1.0), (600, 0, 1.0), (1200, 0, 1.0)]
    assert dropped == 0
    assert select_windows(2001, 700, cut())[0][-1] == Window(1201, 0, 800, 0.875)


def test_small_image_keeps_its_best_window():
    assert select_windows(100, 50, cut()) == ([Window(0, 0, 800, 5000 / 640000)], 0)


def test_share_equal_to_the_limit_is_dropped():
    kept, dropped = select_windows(800, 480, cut(scales=[1.0, 2.0]))
    assert {w.side for w in kept} == {400}
    assert dropped == 1


def test_windows_are_in_source_pixels():
    assert cut(scales=[1.0, 0.5, 1.5]).source_windows() == [(800, 600), (1600, 1200), (533, 400)]


@settings(deadline=None)
@given(
    SIZES, SIZES, st.integers(16, 90), st.sampled_from([0.0, 0.3, 0.6]), st.lists(st.sampled_from([1.0, 1.5]), min_size=1, unique=True), st.integers(0, 2**31)
)
def test_windows_are_those_with_data_and_lose_none(width, height, window, threshold, scales, seed):
    random = np.random.default_rng(seed)
    mask = np.kron(random.random((height // 20 + 1, width // 20 + 1)) < 0.3, np.ones((20, 20), bool))[:height, :width]
    dataset = cut(window=window, stride=window * 3 // 4, content_fraction=threshold, scales=scales)
    everywhere, _ = select_windows(width, height, dataset)
    kept, dropped = select_windows(width, height, dataset, ValidData(mask, width, height))
    shares = {(w.x, w.y, w.side): mask[w.y : w.y + w.side, w.x : w.x + w.side].sum() / w.side**2 for w in everywhere}
    found = {(w.x, w.y, w.side): w.content for w in kept}
    assert found == pytest.approx({place: shares[place] for place in found})
    assert {place for place, share in shares.items() if share > threshold} <= set(found)
    assert len(kept) == len(found)
    total = sum(len(list(starts_by_walking(width, *size))) * len(list(starts_by_walking(height, *size))) for size in dataset.source_windows())
    assert dropped == total - len(found)
    for side in {w.side for w in everywhere}:
        assert (held(mask, found, side) == held(mask, shares, side)).all()
        for x, y, _ in (place for place, share in found.items() if place[2] == side and share <= threshold):
            fuller = {place: share for place, share in found.items() if share > found[x, y, side] + 1e-9}
            assert (mask & ~held(mask, fuller, side))[y : y + side, x : x + side].any()


def held(mask, places, side):
    """Pixels with data in windows of a scale."""
    seen = np.zeros_like(mask)
    for x, y, own_side in places:
        seen[y : y + side, x : x + side] |= own_side == side
    return seen & mask


@pytest.mark.parametrize(("step", "tolerance"), [(1, 0.0), (2, 0.02), (4, 0.04), (7, 0.06)])
def test_a_coarser_picture_of_data_gives_nearly_the_same_share(step, tolerance):
    # Of a span of 100 pixels the edge of the data is off by at most a cell at each end of it.
    mask = np.zeros((331, 517), bool)
    mask[:, 200:] = True
    rows, columns = ((np.arange(length // step) + 0.5) * length / (length // step) for length in mask.shape)
    coarse = ValidData(mask[np.ix_(rows.astype(int), columns.astype(int))], 517, 331)
    for x in range(100, 300, 3):
        assert coarse.share(x, 40, 100, 100) == pytest.approx(mask[40:140, x : x + 100].mean(), abs=tolerance + 1e-12)


def test_share_of_less_than_a_cell():
    mask = np.array([[True, False]])
    valid = ValidData(mask, 100, 50)
    assert valid.share(10, 10, 5, 5) == 1.0
    assert valid.share(97, 47, 3, 3) == 0.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scales": [1.0, 1.0001]}, "windows of the same size"),
        ({"stride": 801}, "larger than window"),
        ({"window": 0}, "window"),
        ({"scales": []}, "scales"),
        ({"scenes": "a"}, "either images or scenes"),
        ({"splits": {"train": "all"}}, "split train needs labels"),
        ({"splits": {"training": "all"}}, "training"),
        ({"bands": (0, 1, 2)}, "bands"),
        ({"windows": 800}, "windows"),
    ],
)
def test_impossible_settings_are_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        cut(**values)


def test_scenes_bring_their_own_splits():
    with pytest.raises(ValidationError, match="leave them out"):
        DatasetSettings(scenes="a", splits={"train": "all"})
