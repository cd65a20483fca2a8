"""The loops over samples."""

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
    channels = values.shape[3]
    one, half = weights.dtype.type(1), weights.dtype.type(0.5)
    for pair in range(first, last):
        image, head = pair // heads, pair % heads
        for query in range(queries):
            total = result[image, query, head]
            total[:] = 0
            for level in range(level_count):
                start, rows, columns = levels[level, 0], levels[level, 1], levels[level, 2]
                for point in range(points):
                    x = locations[image, query, head, level, point, 0] * weights.dtype.type(columns) - half
                    y = locations[image, query, head, level, point, 1] * weights.dtype.type(rows) - half
                    if not (x > -one and y > -one and x < columns and y < rows):
                        continue
                    left, top = math.floor(x), math.floor(y)
                    right_share, bottom_share = x - left, y - top
                    for down in range(2):
                        row = int(top) + down
                        if row < 0 or row >= rows:
                            continue
                        row_share = weights[image, query, head, level, point] * (bottom_share if down else one - bottom_share)
                        for across in range(2):
                            column = int(left) + across
                            if column < 0 or column >= columns:
                                continue
                            share = row_share * (right_share if across else one - right_share)
                            value = values[image, start + row * columns + column, head]
                            for channel in range(channels):
                                total[channel] += share * value[channel]


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
    channels = values.shape[3]
    zero, one, half = weights.dtype.type(0), weights.dtype.type(1), weights.dtype.type(0.5)
    for pair in range(first, last):
        image, head = pair // heads, pair % heads
        for query in range(queries):
            incoming = gradient[image, query, head]
            for level in range(level_count):
                start, rows, columns = levels[level, 0], levels[level, 1], levels[level, 2]
                height, width = weights.dtype.type(rows), weights.dtype.type(columns)
                for point in range(points):
                    weight = weights[image, query, head, level, point]
                    x = locations[image, query, head, level, point, 0] * width - half
                    y = locations[image, query, head, level, point, 1] * height - half
                    sampled, along_x, along_y = zero, zero, zero
                    if x > -one and y > -one and x < columns and y < rows:
                        left, top = math.floor(x), math.floor(y)
                        right_share, bottom_share = x - left, y - top
                        for down in range(2):
                            row = int(top) + down
                            if row < 0 or row >= rows:
                                continue
                            row_share = bottom_share if down else one - bottom_share
                            for across in range(2):
                                column = int(left) + across
                                if column < 0 or column >= columns:
                                    continue
                                column_share = right_share if across else one - right_share
                                share = weight * row_share * column_share
                                token = start + row * columns + column
                                value, target = values[image, token, head], of_values[image, token, head]
                                product = zero
                                for channel in range(channels):
                                    product += incoming[channel] * value[channel]
                                    target[channel] += share * incoming[channel]
                                sampled += row_share * column_share * product
                                along_x += row_share * product if across else -row_share * product
                                along_y += column_share * product if down else -column_share * product
                    of_weights[image, query, head, level, point] = sampled
                    of_locations[image, query, head, level, point, 0] = along_x * weight * width
                    of_locations[image, query, head, level, point, 1] = along_y * weight * height
