"""Which windows of an image become tiles (docs/method.md A, tiling)."""

from dataclasses import dataclass, replace
from itertools import groupby, product
from math import isclose

from mutdet.data.valid_data import ValidData
from mutdet.settings.datasets import DatasetSettings


@dataclass(frozen=True, slots=True)
class Window:
    """A square window of an image.

    Attributes:
        x: left edge, source pixels.
        y: top edge, source pixels.
        side: width and height, source pixels.
        content: share of the window where the image holds data, in (0, 1].
    """

    x: int
    y: int
    side: int
    content: float

    def tile_id(self, image_id: str) -> str:
        """Name of the tile; sides of two scales differ, so that it is unique."""
        return f"{image_id}__{self.side}__{self.x}___{self.y}"


def window_starts(length: int, side: int, stride: int) -> list[int]:
    """Starts of windows along an axis of `length` pixels: every `stride`, the last one shifted to end at the border."""
    if length <= side:
        return [0]
    return [*range(0, length - side, stride), length - side]


def all_windows(width: int, height: int, side: int, stride: int) -> list[Window]:
    """Windows of one size over an image, row by row."""
    content = min(side, width) * min(side, height) / side**2
    return [Window(x, y, side, content) for y, x in product(window_starts(height, side, stride), window_starts(width, side, stride))]


def select_windows(width: int, height: int, dataset: DatasetSettings, valid: ValidData | None = None) -> tuple[list[Window], int]:
    """Windows of all scales that become tiles, and the number of dropped ones.

    A window is kept where the image covers more than `content_fraction` of it; if that holds for none, all that tie for the best are kept.
    Of these, one that holds data on no more than that is dropped if other windows of its scale hold that data, or if it has none.

    Args:
        width: of the image, pixels.
        height: likewise.
        dataset: how it is cut.
        valid: where it holds data; None for everywhere.
    """
    windows = [window for side, stride in dataset.source_windows() for window in all_windows(width, height, side, stride)]
    best = max(window.content for window in windows)
    if best > dataset.content_fraction:
        kept = [window for window in windows if window.content > dataset.content_fraction]
    else:
        kept = [window for window in windows if isclose(window.content, best)]
    if valid is not None:
        scales = [list(scale) for _, scale in groupby(kept, key=lambda window: window.side)]
        kept = [window for scale in scales for window in _with_data(scale, width, height, dataset.content_fraction, valid)]
    return kept, len(windows) - len(kept)


def _with_data(windows: list[Window], width: int, height: int, enough: float, valid: ValidData) -> list[Window]:
    """Windows of one scale with data on more than a share of them, and what else it takes to lose none, those with most data first."""
    insides = {window: (window.x, window.y, min(window.side, width - window.x), min(window.side, height - window.y)) for window in windows}
    measured = {window: replace(window, content=window.content * valid.share(*inside)) for window, inside in insides.items()}
    kept, missing = [], valid.picture.copy()
    for window in sorted(windows, key=lambda window: -measured[window].content):
        cells = valid.cells(*insides[window])
        if measured[window].content > enough or missing[cells].any():
            kept.append(measured[window])
            missing[cells] = False
    return kept
