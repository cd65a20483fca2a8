"""The loops over samples.

What the two kernels share is inlined by the compiler of Python's own code: across calls, slices of arrays would cost reference counts and the loops
over channels would not become vector instructions.
"""

import math

import numpy as np

from mutdet.geometry.compilation import compiled

_FAST = {"contract", "reassoc", "nsz"}


@compiled(fastmath=_FAST)
def sample(
    values: np.ndarray, levels: np.ndarray, locations: np.ndarray, weights: np.ndarray, result: np.ndarray, first: int, last: int
) -> None:  # pragma: no cover -- compiled
    """Write the samples of (image, head) pairs `first` to `last`, counted image by image.

    Args:
        values: [B, K, heads, channels].
        levels: [L, 3] first token, rows, columns.
        locations: [B, Q, heads, L, points, 2].
        weights: [B, Q, heads, L, points].
        result: [B, Q, heads, channels], written.
        first: first pair.
        last: pair after the last.
    """
    _, queries, heads, level_count, points, _ = locations.shape
    for pair in range(first, last):
        image, head = pair // heads, pair % heads
        for query in range(queries):
            total = result[image, query, head]
            total[:] = 0
            for level in range(level_count):
                start, rows, columns = levels[level, 0], levels[level, 1], levels[level, 2]
                for point in range(points):
                    left, right_share = _cells(locations[image, query, head, level, point, 0], columns)
                    top, bottom_share = _cells(locations[image, query, head, level, point, 1], rows)
                    for corner in range(4):
                        token, row_share, column_share = _corner(left, top, right_share, bottom_share, start, rows, columns, corner)
                        if token >= 0:
                            _add(total, values[image, token, head], weights[image, query, head, level, point] * row_share * column_share)


@compiled(fastmath=_FAST)
def gradients(
    values: np.ndarray,
    levels: np.ndarray,
    locations: np.ndarray,
    weights: np.ndarray,
    gradient: np.ndarray,
    of_values: np.ndarray,
    of_locations: np.ndarray,
    of_weights: np.ndarray,
    first: int,
    last: int,
) -> None:  # pragma: no cover -- compiled
    """Add to the gradient of the values and write those of locations and weights, for pairs `first` to `last`; arguments as for `sample`.

    Args:
        values: [B, K, heads, channels].
        levels: [L, 3] first token, rows, columns.
        locations: [B, Q, heads, L, points, 2].
        weights: [B, Q, heads, L, points].
        gradient: [B, Q, heads, channels] of the result.
        of_values: like `values`, zero at first.
        of_locations: like `locations`.
        of_weights: like `weights`.
        first: first pair.
        last: pair after the last.
    """
    _, queries, heads, level_count, points, _ = locations.shape
    for pair in range(first, last):
        image, head = pair // heads, pair % heads
        for query in range(queries):
            incoming = gradient[image, query, head]
            for level in range(level_count):
                start, rows, columns = levels[level, 0], levels[level, 1], levels[level, 2]
                for point in range(points):
                    weight = weights[image, query, head, level, point]
                    left, right_share = _cells(locations[image, query, head, level, point, 0], columns)
                    top, bottom_share = _cells(locations[image, query, head, level, point, 1], rows)
                    sampled = along_x = along_y = weights.dtype.type(0)
                    for corner in range(4):
                        token, row_share, column_share = _corner(left, top, right_share, bottom_share, start, rows, columns, corner)
                        if token >= 0:
                            share = weight * row_share * column_share
                            product = _exchange(values[image, token, head], of_values[image, token, head], incoming, share)
                            sampled += row_share * column_share * product
                            along_x += row_share * product if corner % 2 else -row_share * product
                            along_y += column_share * product if corner // 2 else -column_share * product
                    of_weights[image, query, head, level, point] = sampled
                    of_locations[image, query, head, level, point, 0] = along_x * weight * columns
                    of_locations[image, query, head, level, point, 1] = along_y * weight * rows


@compiled(fastmath=_FAST, inline="always")
def _cells(location: np.floating, count: int) -> tuple[int, np.floating]:  # pragma: no cover -- compiled
    """The first of the two cells along a side around a location, and the share of the second; two cells off the map if it lies outside."""
    number = type(location)
    place = location * number(count) - number(0.5)
    if place >= number(-1) and place < count:
        first = math.floor(place)
        return int(first), number(place - first)
    return -2, number(0)


@compiled(fastmath=_FAST, inline="always")
def _corner(
    left: int, top: int, right_share: np.floating, bottom_share: np.floating, start: int, rows: int, columns: int, corner: int
) -> tuple[int, np.floating, np.floating]:  # pragma: no cover -- compiled
    """Corner 0 to 3 (top left, top right, bottom left, bottom right) around a place: token, -1 off the map; shares of its row and column."""
    one = type(right_share)(1)
    row, column = top + corner // 2, left + corner % 2
    token = start + row * columns + column if row >= 0 and row < rows and column >= 0 and column < columns else -1
    return token, bottom_share if corner // 2 else one - bottom_share, right_share if corner % 2 else one - right_share


@compiled(fastmath=_FAST, inline="always")
def _add(total: np.ndarray, value: np.ndarray, share: np.floating) -> None:  # pragma: no cover -- compiled
    """Add a share of a value to a sum."""
    for channel in range(len(total)):
        total[channel] += share * value[channel]


@compiled(fastmath=_FAST, inline="always")
def _exchange(value: np.ndarray, target: np.ndarray, incoming: np.ndarray, share: np.floating) -> np.floating:  # pragma: no cover -- compiled
    """Product of value and incoming gradient, whose share goes to the value's gradient."""
    product = value.dtype.type(0)
    for channel in range(len(incoming)):
        product += incoming[channel] * value[channel]
        target[channel] += share * incoming[channel]
    return product
