"""From whatever values a band holds to 8 bit."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

StretchName = Literal["auto", "percentile", "range"]
_PERCENTILES = (2.0, 98.0)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Linear map of each band: `low` becomes 0, `high` 255, values beyond are clipped; what is no number becomes 0.

    Attributes:
        low: one value per band.
        high: one value per band, larger than `low`.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    def apply(self, values: NDArray[np.generic]) -> NDArray[np.uint8]:
        """[bands, H, W] numbers to 8 bit; values that stay as they are come back without a copy."""
        if values.dtype == np.uint8 and set(self.low) == {0.0} and set(self.high) == {255.0}:
            return values.view(np.uint8)
        result = np.empty(values.shape, np.uint8)
        # float32 holds 16 bit exactly; one band at a time keeps the temporary arrays small.
        precise = np.float32 if values.dtype.itemsize <= 2 else np.float64
        for band, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            scaled = (values[band].astype(precise) - precise(low)) * precise(255 / (high - low))
            result[band] = np.rint(np.clip(np.nan_to_num(scaled, nan=0.0), 0, 255))
        return result


def range_stretch(bits: int, bands: int) -> Stretch:
    """Stretch of all values that unsigned integers of `bits` bits can hold."""
    return Stretch((0.0,) * bands, (2.0**bits - 1,) * bands)


def percentile_stretch(sample: NDArray[np.generic], valid: NDArray[np.bool_] | None) -> Stretch:
    """Stretch of each band of a sample [bands, H, W] from its 2nd to its 98th percentile.

    Pixels that are no finite number, or not `valid` [1 or bands, H, W] where that is given, do not count. Where the two percentiles coincide,
    as in a dark image with a few bright objects, smallest and largest value take their place; a constant band becomes 0.
    """
    lows, highs = [], []
    usable = np.isfinite(sample) if valid is None else np.isfinite(sample) & valid
    for band, counted in zip(sample.astype(np.float64), usable, strict=True):
        values = band[counted]
        low, high = np.percentile(values, _PERCENTILES) if len(values) else (0.0, 1.0)
        if low == high:
            low, high = (values.min(), values.max())
        lows.append(float(low))
        highs.append(float(high) if high > low else float(np.nextafter(low, np.inf)) + 1.0)
    return Stretch(tuple(lows), tuple(highs))
