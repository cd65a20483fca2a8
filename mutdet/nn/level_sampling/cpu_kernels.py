"""The loops over samples.

Arrays are read as one long row: slices and indices of several axes cost more than the arithmetic here. Places in that row are unsigned, for a
signed one might count from the end, and is tested for it at every number. What the two kernels share is inlined by the compiler of Python's own
code: across calls, arrays would cost reference counts. Of the four cells around a place, a and b are the upper ones, c and d the lower ones.
"""

import numpy as np

from mutdet.geometry.compilation import compiled

_FAST = {"contract", "reassoc", "nsz"}
_1, _2 = np.uint64(1), np.uint64(2)


@compiled(fastmath=_FAST)
def sample(
    values: np.ndarray, levels: np.ndarray, locations: np.ndarray, weights: np.ndarray, result: np.ndarray, first: int, last: int
) -> None:  # pragma: no cover -- compiled
    """Write the samples of (image, head) pairs `first` to `last`, counted image by image; all arrays are contiguous.

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
    tokens, channels = values.shape[1], np.uint64(values.shape[3])
    value, place, weight, total = values.reshape(-1), locations.reshape(-1), weights.reshape(-1), result.reshape(-1)
    for image in range(first // heads, (last + heads - 1) // heads):
        for query in range(queries):
            for head in range(max(first - image * heads, 0), min(last - image * heads, heads)):
                row = (image * queries + query) * heads + head
                own, point = np.uint64(row) * channels, np.uint64(row * level_count * points)
                for channel in range(channels):
                    total[own + channel] = 0
                for level in range(level_count):
                    start, rows, columns = image * tokens + levels[level, 0], levels[level, 1], levels[level, 2]
                    for _ in range(points):
                        left, right, left_share, right_share, _in, _in = _along(place[point * _2], columns)
                        top, bottom, top_share, bottom_share, _in, _in = _along(place[point * _2 + _1], rows)
                        upper, lower = top_share * weight[point], bottom_share * weight[point]
                        a, b = _pair(start + top * columns, left, right, heads, head, channels)
                        c, d = _pair(start + bottom * columns, left, right, heads, head, channels)
                        of_a, of_b, of_c, of_d = upper * left_share, upper * right_share, lower * left_share, lower * right_share
                        for channel in range(channels):
                            total[own + channel] += (
                                of_a * value[a + channel] + of_b * value[b + channel] + of_c * value[c + channel] + of_d * value[d + channel]
                            )
                        point += _1


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
    tokens, channels = values.shape[1], np.uint64(values.shape[3])
    value, place, weight, incoming = values.reshape(-1), locations.reshape(-1), weights.reshape(-1), gradient.reshape(-1)
    of_value, of_place, of_weight = of_values.reshape(-1), of_locations.reshape(-1), of_weights.reshape(-1)
    for image in range(first // heads, (last + heads - 1) // heads):
        for query in range(queries):
            for head in range(max(first - image * heads, 0), min(last - image * heads, heads)):
                row = (image * queries + query) * heads + head
                own, point = np.uint64(row) * channels, np.uint64(row * level_count * points)
                for level in range(level_count):
                    start, rows, columns = image * tokens + levels[level, 0], levels[level, 1], levels[level, 2]
                    for _ in range(points):
                        left, right, left_share, right_share, left_in, right_in = _along(place[point * _2], columns)
                        top, bottom, top_share, bottom_share, top_in, bottom_in = _along(place[point * _2 + _1], rows)
                        a, b = _pair(start + top * columns, left, right, heads, head, channels)
                        c, d = _pair(start + bottom * columns, left, right, heads, head, channels)
                        point_weight = weight[point]
                        at_a = at_b = at_c = at_d = type(point_weight)(0)
                        for channel in range(channels):
                            at_a += incoming[own + channel] * value[a + channel]
                            at_b += incoming[own + channel] * value[b + channel]
                            at_c += incoming[own + channel] * value[c + channel]
                            at_d += incoming[own + channel] * value[d + channel]
                        # One after the other: at the border of a level two of them are the same cell.
                        _add(of_value, a, incoming, own, channels, point_weight * top_share * left_share)
                        _add(of_value, b, incoming, own, channels, point_weight * top_share * right_share)
                        _add(of_value, c, incoming, own, channels, point_weight * bottom_share * left_share)
                        _add(of_value, d, incoming, own, channels, point_weight * bottom_share * right_share)
                        of_weight[point] = top_share * (left_share * at_a + right_share * at_b) + bottom_share * (left_share * at_c + right_share * at_d)
                        along_x = top_share * (right_in * at_b - left_in * at_a) + bottom_share * (right_in * at_d - left_in * at_c)
                        along_y = left_share * (bottom_in * at_c - top_in * at_a) + right_share * (bottom_in * at_d - top_in * at_b)
                        of_place[point * _2], of_place[point * _2 + _1] = along_x * point_weight * columns, along_y * point_weight * rows
                        point += _1


@compiled(fastmath=_FAST, inline="always")
def _along(location: np.floating, count: int) -> tuple[int, int, np.floating, np.floating, np.floating, np.floating]:  # pragma: no cover -- compiled
    """The two cells along a side around a location: numbers, shares, and 1 where they lie on the map; off it, a share is 0 and the number that of some cell."""
    number = type(location)
    place = location * number(count) - number(0.5)
    if place >= number(-1) and place < number(count):
        towards_zero = int(place)
        first = towards_zero - int(number(towards_zero) > place)  # math.floor would be a call
        share = place - number(first)
        first_in, second_in = number(first >= 0), number(first + 1 < count)
        return max(first, 0), min(first + 1, count - 1), (number(1) - share) * first_in, share * second_in, first_in, second_in
    return 0, 0, number(0), number(0), number(0), number(0)


@compiled(fastmath=_FAST, inline="always")
def _pair(row: int, left: int, right: int, heads: int, head: int, channels: np.uint64) -> tuple[np.uint64, np.uint64]:  # pragma: no cover -- compiled
    """Where the values of a head begin in two cells of a row that begins at token `row`."""
    return np.uint64((row + left) * heads + head) * channels, np.uint64((row + right) * heads + head) * channels


@compiled(fastmath=_FAST, inline="always")
def _add(total: np.ndarray, to: np.uint64, part: np.ndarray, begin: np.uint64, channels: np.uint64, share: np.floating) -> None:  # pragma: no cover -- compiled
    """Add a share of a part's channels to a total's."""
    for channel in range(channels):
        total[to + channel] += share * part[begin + channel]
