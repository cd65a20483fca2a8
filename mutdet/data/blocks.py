"""Windows that follow the blocks an image file is stored in, so that each is decoded once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window as PixelWindow

_PIXELS = 1 << 22
"""Pixels of a window, unless a single block has more."""

Read = Callable[[PixelWindow], NDArray[np.generic]]
"""Reads a window as [bands, h, w]."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """How a file is divided: tiles, strips, or rows.

    Attributes:
        width, height: of the image, pixels.
        block_width, block_height: of a block; those at the right and at the bottom may be smaller.
    """

    width: int
    height: int
    block_width: int
    block_height: int

    @classmethod
    def of(cls, source: DatasetReader, band: int) -> "Blocks":
        """Blocks of a band, from 1, of an open file."""
        block_height, block_width = source.block_shapes[band - 1]
        return cls(source.width, source.height, block_width, block_height)

    def end(self, row: int) -> int:
        """First row, from `row` on, at which a block begins or the image ends."""
        return min(-(-row // self.block_height) * self.block_height, self.height)

    def windows(self, start: int, stop: int) -> Iterator[PixelWindow]:
        """Windows that together are rows `start` to `stop`, from top to bottom, in each row from left to right; none ends inside a block but at these rows."""
        rows = self.block_height * max(1, _PIXELS // (self.width * self.block_height))
        for top, bottom in _spans(start, stop, rows):
            columns = self.block_width * max(1, _PIXELS // ((bottom - top) * self.block_width))
            for left, right in _spans(0, self.width, columns):
                yield PixelWindow(left, top, right - left, bottom - top)

    def sample(self, read: Read, height: int, width: int) -> NDArray[np.generic]:
        """[bands, height, width] pixels of the whole image, evenly spread: those nearest to the centres of a coarser grid.

        GDAL's own reading at a lower resolution takes the same ones, but decodes a block again for each of its lines where a row of blocks exceeds the cache.
        """
        rows, columns = _centres(height, self.height), _centres(width, self.width)
        found = [self._sample_rows(read, wanted, columns) for wanted in _groups(rows, self.block_height)]
        return np.concatenate(found, axis=1)

    def _sample_rows(self, read: Read, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.generic]:
        """[bands, rows, columns] of rows in one row of blocks."""
        top, height = int(rows[0]), int(rows[-1] - rows[0]) + 1
        step = self.block_width * max(1, _PIXELS // (height * self.block_width))
        parts = []
        for wanted in _groups(columns, step):
            left, right = int(wanted[0]), int(wanted[-1]) + 1
            values = read(PixelWindow(left, top, right - left, height))
            parts.append(values[:, rows - top][:, :, wanted - left])
        return np.concatenate(parts, axis=2)


def _spans(start: int, stop: int, unit: int) -> Iterator[tuple[int, int]]:
    """Parts of a span that end at multiples of a unit."""
    while start < stop:
        end = min((start // unit + 1) * unit, stop)
        yield start, end
        start = end


def _centres(count: int, length: int) -> NDArray[np.int64]:
    """Pixels under the centres of `count` equal parts of a length."""
    return ((np.arange(count) + 0.5) * length / count).astype(np.int64)


def _groups(positions: NDArray[np.int64], unit: int) -> list[NDArray[np.int64]]:
    """Ascending positions, those in the same multiple of a unit together."""
    return np.split(positions, np.flatnonzero(np.diff(positions // unit)) + 1)
