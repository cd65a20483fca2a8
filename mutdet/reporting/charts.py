"""Charts as SVG data URIs that are readable on light and on dark ground."""

import base64
import io
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from mutdet.reporting.blocks import Picture

Line = tuple[ArrayLike, ArrayLike]
COLOURS = ["#2f7ed8", "#e07a1f", "#2a9d62", "#c2408a", "#8a6fd1", "#b58900", "#17a2b8", "#d1495b"]
_GREY = "#80868f"
_POINTS = 300
_LEGEND_INSIDE = 3
_LEGEND_COLUMNS = 3
_LEGEND_ROW = 0.19
_DECADES = 30
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mutdet",
    "font.family": "sans-serif",
    "font.sans-serif": ["system-ui", "Helvetica", "Arial", "DejaVu Sans"],
    "font.size": 10,
    "text.color": _GREY,
    "axes.labelcolor": _GREY,
    "axes.edgecolor": _GREY,
    "xtick.color": _GREY,
    "ytick.color": _GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _GREY,
    "grid.alpha": 0.2,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
}
logging.getLogger("matplotlib.font_manager").setLevel("ERROR")


@mpl.rc_context(_STYLE)
def histogram(values: np.ndarray, caption: str, label: str, *, bins: int = 40, limits: tuple[float, float] | None = None) -> Picture:
    """Counts of at least one value, whole numbers one by one where they are few; what lies outside `limits` counts in the outer bins."""
    clipped = np.asarray(values if limits is None else np.clip(values, *limits), float)
    figure, axes = _axes(label, "count")
    least, most = limits or (clipped.min(), clipped.max())
    if values.dtype.kind in "iu" and most - least < bins:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        edges = np.arange(least, most + 2) - 0.5
    else:
        margin = 0.0 if most - least > 1e-6 * max(abs(most), 1.0) else 0.5
        edges = np.linspace(least - margin, most + margin, bins + 1)
    axes.hist(clipped, bins=edges.tolist(), color=COLOURS[0], alpha=0.85)
    return _picture(figure, caption)


@mpl.rc_context(_STYLE)
def lines(curves: Mapping[str, Sequence[Line]], caption: str, x_label: str, y_label: str, *, unit_square: bool = False) -> Picture:
    """Curves of at least one point; those of one name, such as the seeds of a training, look alike.

    Long ones are thinned out evenly. x is a whole number, or both axes run from 0 to 1 (`unit_square`).
    """
    figure, axes = _axes(x_label, y_label)
    for number, (name, alike) in enumerate(curves.items()):
        style = ["-", "--", ":"][number // len(COLOURS) % 3]
        for place, (x, y) in enumerate(alike):
            chosen = _thinned(len(np.asarray(x)))
            label = name if place == 0 else None
            width = 1.6 if len(alike) == 1 else 1.1
            axes.plot(np.asarray(x)[chosen], np.asarray(y)[chosen], style, color=COLOURS[number % len(COLOURS)], linewidth=width, label=label)
    if _spans_decades([y for alike in curves.values() for _, y in alike]):
        axes.set_yscale("log")
    if unit_square:
        axes.set(xlim=(0, 1.01), ylim=(0, 1.02))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    if len(curves) > _LEGEND_INSIDE:
        _legend_above(figure, len(curves))
    elif len(curves) > 1:
        axes.legend(loc="best", labelspacing=0.3)
    return _picture(figure, caption)


@mpl.rc_context(_STYLE)
def bars(names: Sequence[str], groups: Mapping[str, Sequence[float]], caption: str, label: str) -> Picture:
    """Horizontal bars: one group of bars per name, one bar per entry of `groups`."""
    figure, axes = _axes(label, "", height=0.9 + 0.2 * len(names) * (1 + 0.6 * (len(groups) - 1)))
    thickness = 0.8 / len(groups)
    for number, (name, values) in enumerate(groups.items()):
        places = np.arange(len(names)) + (number - (len(groups) - 1) / 2) * thickness
        axes.barh(places, values, thickness * 0.92, color=COLOURS[number % len(COLOURS)], label=name, alpha=0.9)
    axes.set_yticks(np.arange(len(names)), names)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    if len(groups) > 1:
        _legend_above(figure, len(groups))
    return _picture(figure, caption)


def _legend_above(figure: Figure, entries: int) -> None:
    """Legend over the axes, which keep their height: beside them long names would leave no room, and on them cover what they name."""
    columns = min(entries, _LEGEND_COLUMNS)
    figure.set_figheight(figure.get_figheight() + _LEGEND_ROW * math.ceil(entries / columns))
    figure.legend(loc="outside upper center", ncols=columns, labelspacing=0.3, columnspacing=1.2)


def _thinned(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, _POINTS)).astype(int))


def _spans_decades(values: Sequence[ArrayLike]) -> bool:
    """Whether curves are so far apart, and positive, that a logarithmic axis shows them better."""
    flat = np.concatenate([np.asarray(one, float) for one in values]) if values else np.zeros(1)
    return bool(flat.min() > 0 and flat.max() > _DECADES * flat.min())


def _axes(x_label: str, y_label: str, height: float = 2.7) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.3, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set(xlabel=x_label, ylabel=y_label)
    return figure, axes


def _picture(figure: Figure, caption: str) -> Picture:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return Picture(f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}", caption)
