"""Where an image holds data: what is transparent, or of the value declared for none, as beside the strips of a mosaic, is as good as outside it."""

import numpy as np
from numpy.typing import NDArray


class ValidData:
    """Shares of an image that hold data, from a reduced picture of where it does.

    Args:
        picture: [h, w] True where there is data, over the whole image; each side at most the image's.
        width, height: of the image, pixels.
    """

    def __init__(self, picture: NDArray[np.bool_], width: int, height: int) -> None:
        rows, columns = picture.shape
        self._scale_x, self._scale_y = columns / width, rows / height
        self._sums = np.zeros((rows + 1, columns + 1), np.int64)
        self._sums[1:, 1:] = picture.cumsum(axis=0, dtype=np.int64).cumsum(axis=1)

    def share(self, x: int, y: int, width: int, height: int) -> float:
        """Share, in [0, 1], of a rectangle inside the image that holds data; source pixels, as exact as the picture is fine."""
        left, right = _cells(x, width, self._scale_x)
        top, bottom = _cells(y, height, self._scale_y)
        found = self._sums[bottom, right] - self._sums[top, right] - self._sums[bottom, left] + self._sums[top, left]
        return float(found) / ((right - left) * (bottom - top))


def _cells(start: int, length: int, scale: float) -> tuple[int, int]:
    """First cell and the one after the last, at least one, that a span of pixels covers."""
    first, last = round(start * scale), round((start + length) * scale)
    return (first, last) if last > first else (int(start * scale), int(start * scale) + 1)
