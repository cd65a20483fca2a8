"""Where an image holds data: what is transparent, or of the value declared for none, as beside the strips of a mosaic, is as good as outside it."""

import numpy as np
from numpy.typing import NDArray


class ValidData:
    """A reduced picture of where an image holds data.

    Args:
        picture: [h, w] True where there is data, over the whole image; each side at most the image's.
        width, height: of the image, pixels.

    Attributes:
        picture: the same.
    """

    def __init__(self, picture: NDArray[np.bool_], width: int, height: int) -> None:
        self.picture = picture
        self._scale_y, self._scale_x = picture.shape[0] / height, picture.shape[1] / width

    def cells(self, x: int, y: int, width: int, height: int) -> tuple[slice, slice]:
        """Rows and columns of the picture, at least one of each, that a rectangle inside the image covers; source pixels."""
        return _cells(y, height, self._scale_y), _cells(x, width, self._scale_x)

    def share(self, x: int, y: int, width: int, height: int) -> float:
        """Share, in [0, 1], of a rectangle that holds data; as exact as the picture is fine."""
        return float(self.picture[self.cells(x, y, width, height)].mean())


def _cells(start: int, length: int, scale: float) -> slice:
    first, last = round(start * scale), round((start + length) * scale)
    return slice(first, last) if last > first else slice(int(start * scale), int(start * scale) + 1)
