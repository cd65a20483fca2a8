"""Reading of source images, of any size, as 8-bit RGB."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as PixelWindow

from mutdet.data.blocks import Blocks
from mutdet.data.stretch import Stretch, StretchName, percentile_stretch, range_stretch
from mutdet.data.valid_data import ValidData
from mutdet.settings.errors import UserError

_DRIVERS = ("PNG", "JPEG", "GTiff", "BMP", "JP2OpenJPEG")
_GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # what is read depends on the image file alone, not on files beside it
    "GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO",  # that path gives black pixels without an error where a file is cut off
    "GDAL_ERROR_ON_LIBJPEG_WARNING": "TRUE",  # or damaged JPEG data passes as grey
    "GDAL_CACHEMAX": 64,  # MB
}
_WHOLE_PIXELS = 1 << 24
"""Images up to this size are decoded whole and once."""
_SAMPLE_SIDE = 1024
"""Longest side of the reduced image that percentiles are taken from."""

# What rasterio logs about a file reaches the user as a UserError.
logging.getLogger("rasterio").setLevel(logging.CRITICAL)


class ImageReader:
    """Rows of an open image as 8-bit RGB.

    Decodes each block of the file once as long as `rows` is asked from top to bottom; memory holds the rows of the last call and what else
    is in their blocks (or, up to 16 megapixels, the image). Made by `open_image`.

    Attributes:
        width, height: pixels as stored.
        bands: number of bands as stored.
        crs: coordinate reference system as WKT, or None.
        transform: affine transform a b c d e f from pixels to the crs; None where the file has none.
    """

    def __init__(self, source: DatasetReader, path: Path, bands: Sequence[int] | None, stretch: StretchName) -> None:
        self.width, self.height, self.bands = int(source.width), int(source.height), int(source.count)
        self.crs = source.crs.to_wkt() if source.crs else None
        self.transform = None if source.transform.is_identity else list(source.transform)[:6]
        self._source, self._path = source, path
        self._palette = _palette(source) if bands is None else None
        self._chosen = choose_bands(source.dtypes, source.colorinterp, bands, path)
        self._blocks = Blocks.of(source, self._chosen[0])
        self._stretch_name = stretch
        self._stretch: Stretch | None = None
        self._start, self._rows = 0, np.empty((0, self.width, 3), np.uint8)

    def rows(self, start: int, stop: int) -> NDArray[np.uint8]:
        """[stop - start, W, 3] rows of the image; read-only by agreement, as it may be kept.

        Raises:
            UserError: the file is damaged or cut off.
        """
        end = self._start + len(self._rows)
        if not (self._start <= start and stop <= end):
            whole = self.width * self.height <= _WHOLE_PIXELS
            first, last = (0, self.height) if whole else (start, self._blocks.end(stop))
            kept = self._rows[first - self._start :] if self._start <= first < end else self._rows[:0]
            fresh = self._decode(first + len(kept), last)
            self._start, self._rows = first, np.concatenate([kept, fresh]) if len(kept) else fresh
        return self._rows[start - self._start : stop - self._start]

    def valid_data(self, step: int) -> ValidData | None:
        """Where the image holds data, looked up at every `step`-th pixel; None where the file declares neither alpha, mask nor a value for no data.

        None, too, where most of what is not transparent is half so: GDAL declares a fourth band alpha unless told otherwise, and it is often near infrared.

        Raises:
            UserError: the file is damaged or cut off.
        """
        valid = self._valid(max(1, self.height // step), max(1, self.width // step))
        return None if valid is None else ValidData(np.logical_or.reduce(valid), self.width, self.height)

    def _valid(self, height: int, width: int) -> NDArray[np.bool_] | None:
        """[1 or 3, height, width] whether pixels spread over the image hold data, for all bands together or each; None for all."""
        flags = [self._source.mask_flag_enums[band - 1] for band in self._chosen]
        if all(MaskFlags.all_valid in of_band for of_band in flags):
            return None
        bands = self._chosen[:1] if MaskFlags.per_dataset in flags[0] else self._chosen
        with _reading(self._path):
            mask = self._blocks.sample(lambda window: self._source.read_masks(bands, window=window), height, width)
        return None if _has_shades(mask) else mask.astype(np.bool_)

    def check(self) -> None:
        """Decode the whole image and keep nothing.

        Raises:
            UserError: the file is damaged or cut off.
        """
        for window in self._blocks.windows(0, self.height):
            self._to_rgb(self._read(window))

    def _decode(self, start: int, stop: int) -> NDArray[np.uint8]:
        rows = np.empty((stop - start, self.width, 3), np.uint8)
        for window in self._blocks.windows(start, stop):
            top, left = window.row_off - start, window.col_off
            rows[top : top + window.height, left : left + window.width] = self._to_rgb(self._read(window))
        return rows

    def _read(self, window: PixelWindow) -> NDArray[np.generic]:
        """[1 or 3, h, w] stored values."""
        with _reading(self._path):
            values: NDArray[np.generic] = self._source.read(self._chosen, window=window)
        return values

    def _to_rgb(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """[H, W, 3], or [H, W, 1] for grey, of stored values [1 or 3, H, W]."""
        if self._palette is not None:
            return self._palette[np.minimum(values[0], len(self._palette) - 1)]
        if self._stretch is None:
            self._stretch = self._find_stretch()
        return self._stretch.apply(values).transpose(1, 2, 0)

    def _find_stretch(self) -> Stretch:
        kind = np.dtype(self._source.dtypes[self._chosen[0] - 1])
        bits = int(self._source.tags(self._chosen[0], ns="IMAGE_STRUCTURE").get("NBITS", kind.itemsize * 8))
        if self._stretch_name == "range" and kind.kind != "u":
            raise UserError(f"values of type {kind} have no fixed range", file=self._path, remedy="set stretch to auto or percentile")
        if self._stretch_name == "range" or (self._stretch_name == "auto" and kind == np.uint8):
            return range_stretch(bits, len(self._chosen))
        shrink = max(1.0, max(self.width, self.height) / _SAMPLE_SIDE)
        height, width = max(1, round(self.height / shrink)), max(1, round(self.width / shrink))
        return percentile_stretch(self._blocks.sample(self._read, height, width), self._valid(height, width))


@contextmanager
def open_image(path: Path, bands: Sequence[int] | None = None, stretch: StretchName = "auto") -> Iterator[ImageReader]:
    """Open an image; pixels come as stored, whatever orientation the file notes.

    Args:
        path: PNG, JPEG, TIFF, BMP or JPEG 2000 file. Palettes and CMYK become RGB, alpha is left out.
        bands: three band numbers from 1 for red, green, blue; None as in `choose_bands`.
        stretch: how values become 8 bit, as in `DatasetSettings.stretch`.

    Raises:
        UserError: the file is missing, empty, no image, or has no readable band.
    """
    if not path.is_file():
        raise UserError("image is missing", file=path, remedy="restore it or take it out of the split")
    if path.stat().st_size == 0:
        raise UserError("image file is empty", file=path, remedy="restore it or take it out of the split")
    with rasterio.Env(**_GDAL_OPTIONS):
        with _reading(path), warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            source = rasterio.open(path)
        with source:
            if source.driver not in _DRIVERS:
                raise UserError(f"holds {source.driver} data, no picture", file=path, remedy="convert it to PNG, JPEG or TIFF")
            yield ImageReader(source, path, bands, stretch)


def choose_bands(types: Sequence[str], meanings: Sequence[ColorInterp], wanted: Sequence[int] | None, path: Path) -> list[int]:
    """Numbers, from 1, of the bands to show: three for red, green, blue, or one for grey.

    Args:
        types: type of each band.
        meanings: what each band is declared to be.
        wanted: the user's choice; None takes the bands declared red, green, blue, else the first three that are no alpha, else the first.
        path: named in errors.

    Raises:
        UserError: a wanted band is missing, or no band holds real numbers.
    """
    readable = [number for number, kind in enumerate(types, start=1) if not kind.startswith("complex")]
    if wanted is not None:
        missing = [number for number in wanted if number not in readable]
        if missing:
            raise UserError(f"has no readable band {missing[0]} (bands: {len(types)})", file=path, remedy="correct the dataset's bands")
        return list(wanted)
    data = [number for number in readable if meanings[number - 1] != ColorInterp.alpha]
    if not data:
        raise UserError("has no readable band", file=path, remedy="give an image with a band of real numbers that is not alpha")
    declared = {meanings[number - 1]: number for number in reversed(data)}
    colours = [declared[colour] for colour in (ColorInterp.red, ColorInterp.green, ColorInterp.blue) if colour in declared]
    if len(colours) == 3:
        return colours
    return data[:3] if len(data) >= 3 else data[:1]


def _has_shades(mask: NDArray[np.generic]) -> bool:
    """Whether a tenth of what is not 0 in a mask is not 255 either."""
    return bool(np.count_nonzero(mask == np.iinfo(np.uint8).max) < 0.9 * np.count_nonzero(mask))


def _palette(source: DatasetReader) -> NDArray[np.uint8] | None:
    """[entries, 3] colours of an image with a palette."""
    if source.count != 1 or source.colorinterp[0] != ColorInterp.palette:
        return None
    colours = source.colormap(1)
    table = np.zeros((max(colours) + 1, 3), np.uint8)
    for index, colour in colours.items():
        table[index] = colour[:3]
    return table


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever GDAL says about a file into one line."""
    try:
        yield
    except RasterioError as error:
        detail = str(error.__cause__ or error).replace(f"'{path}'", "file").replace(str(path), "file")
        raise UserError(f"is no whole image: {detail}", file=path, remedy="restore it or take it out of the split") from error
