"""Reading by blocks, against GDAL's own reading and counts of blocks."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from mutdet.data import blocks
from mutdet.data.blocks import Blocks
from mutdet.data.images import ImageReader, open_image

LENGTHS = st.integers(1, 90)


def touched(window, divided):
    """Blocks that a window lies on."""
    rows = range(window.row_off // divided.block_height, (window.row_off + window.height - 1) // divided.block_height + 1)
    columns = range(window.col_off // divided.block_width, (window.col_off + window.width - 1) // divided.block_width + 1)
    return [(row, column) for row in rows for column in columns]


def layouts():
    """An image of some size in blocks of some size; blocks wider than it are as wide as it, as in files."""
    return st.builds(lambda width, height, w, h: Blocks(width, height, w, h), LENGTHS, LENGTHS, LENGTHS, LENGTHS)


@settings(deadline=None)
@given(layouts(), st.integers(0, 89), LENGTHS, st.sampled_from([1, 50, 400, 1 << 22]))
def test_windows_cover_rows_once_and_each_block_once(divided, start, count, pixels):
    start = min(start, divided.height - 1)
    stop = min(start + count, divided.height)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_PIXELS", pixels)
        windows = list(divided.windows(start, stop))
    seen = np.zeros((divided.height, divided.width), int)
    for window in windows:
        seen[window.row_off : window.row_off + window.height, window.col_off : window.col_off + window.width] += 1
        assert window.width * window.height <= max(pixels, divided.block_width * divided.block_height)
    assert (seen[start:stop] == 1).all()
    assert (np.delete(seen, np.s_[start:stop], axis=0) == 0).all()
    assert set(Counter(block for window in windows for block in touched(window, divided)).values()) == {1}
    places = [(window.row_off, window.col_off) for window in windows]
    assert places == sorted(places)


@settings(deadline=None)
@given(layouts(), st.integers(1, 90))
def test_end_is_the_next_row_where_a_block_begins(divided, row):
    row = min(row, divided.height)
    expected = next(end for end in range(row, divided.height + 1) if end % divided.block_height == 0 or end == divided.height)
    assert divided.end(row) == expected


@settings(deadline=None)
@given(layouts(), LENGTHS, LENGTHS, st.sampled_from([1, 400, 1 << 22]))
def test_sample_is_pixels_under_the_centres_and_touches_blocks_once(divided, height, width, pixels):
    height, width = min(height, divided.height), min(width, divided.width)
    image = np.random.default_rng(0).integers(0, 255, (2, divided.height, divided.width))
    read = []

    def values(window):
        read.append(window)
        return image[:, window.row_off : window.row_off + window.height, window.col_off : window.col_off + window.width]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "_PIXELS", pixels)
        found = divided.sample(values, height, width)
    rows = [int((row + 0.5) * divided.height / height) for row in range(height)]
    columns = [int((column + 0.5) * divided.width / width) for column in range(width)]
    assert (found == image[:, rows][:, :, columns]).all()
    assert set(Counter(block for window in read for block in touched(window, divided)).values()) == {1}


LAYOUTS = {
    "tiles": {"tiled": True, "blockxsize": 64, "blockysize": 32, "compress": "deflate"},
    "planar tiles": {"tiled": True, "blockxsize": 32, "blockysize": 48, "interleave": "band"},
    "rows": {"compress": "lzw", "blockysize": 1},
    "strips": {"blockysize": 10},
    "one strip": {"blockysize": 175, "compress": "deflate"},
}


@pytest.fixture(params=LAYOUTS)
def large(tmp_path, request):
    """A 16-bit file of four bands and its values."""
    values = np.random.default_rng(2).integers(0, 60000, (4, 175, 261)).astype(np.uint16)
    path = tmp_path / "image.tif"
    with rasterio.open(path, "w", driver="GTiff", width=261, height=175, count=4, dtype="uint16", **LAYOUTS[request.param]) as target:
        target.write(values)
    return path, values


@pytest.mark.parametrize("shape", [(175, 261), (60, 90), (33, 47), (1, 1)])
def test_sample_is_gdals(large, shape):
    with rasterio.open(large[0]) as source:
        found = Blocks.of(source, 1).sample(lambda window: source.read([3, 2, 1], window=window), *shape)
        assert (found == source.read([3, 2, 1], out_shape=(3, *shape))).all()


def test_blocks_are_decoded_once_from_top_to_bottom(large, monkeypatch):
    path, values = large
    monkeypatch.setattr("mutdet.data.images._WHOLE_PIXELS", 0)
    monkeypatch.setattr(blocks, "_PIXELS", 1000)
    read = []
    plain = ImageReader._read
    monkeypatch.setattr(ImageReader, "_read", lambda self, window: read.append(window) or plain(self, window))
    with open_image(path, (1, 2, 3), "range") as image:
        expected = np.rint(values[:3] / np.float32(257)).astype(np.uint8).transpose(1, 2, 0)
        for start in range(0, 135, 30):
            assert (image.rows(start, start + 40) == expected[start : start + 40]).all()
        assert (image.rows(135, 175) == expected[135:]).all()
        divided = image._blocks
    counts = Counter(block for window in read for block in touched(window, divided))
    assert set(counts.values()) == {1}
    assert all(one.row_off <= two.row_off for one, two in pairwise(read))
