"""Triton kernels of sampling; imported only where they run.

A sample's place in its level is counted in cells from the centre of the first one: (x, y) = location * (columns, rows) - 1/2. It lies in the square
between four cells' centres whose top left corner is (floor x, floor y). With the squares that hang over the border a level has
(rows + 1) (columns + 1) of them, counted row by row from the one whose corner is (-1, -1).

Kernels take contiguous tensors, read values and write their gradient in the values' own type, and compute in the locations' type:
    values, of_values: [B, tokens, heads, channels].
    levels: [L, 4] int32 first token, rows, columns, first square.
    locations, of_locations: [B, queries, heads, L, points, 2].
    weights, of_weights: [B, queries, heads, L, points].
    result, gradient: [B, queries, heads, channels].
    squares: [B, queries, heads, L, points] each sample's square, counted over all (image, head) pairs; the number of all squares if it lies outside.
    order: [number of samples] places in `squares`, sorted by square.
    starts: [number of all squares + 1] where in `order` the samples of each square begin.
and numbers: `samples` is L * points, `width` is `channels` rounded up to a power of two, `block` the power of two of samples that are in work together.
"""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["tokens", "queries"])
def sample(
    values: tl.tensor,
    levels: tl.tensor,
    locations: tl.tensor,
    weights: tl.tensor,
    result: tl.tensor,
    tokens: tl.tensor,
    queries: tl.tensor,
    heads: tl.constexpr,
    channels: tl.constexpr,
    points: tl.constexpr,
    samples: tl.constexpr,
    width: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """Write the weighted sum of one (image, query, head) per program."""
    program = tl.program_id(0).to(tl.int64)
    channel = tl.arange(0, width)
    pixels = values + (program // heads // queries * tokens * heads + program % heads) * channels + channel[None, :]
    total = tl.full([block, width], 0, locations.dtype.element_ty)
    for first in range(0, samples, block):
        index = first + tl.arange(0, block)
        place, present = program * samples + index, index < samples
        square = _square(levels, locations, place, index // points, present)
        weight = tl.load(weights + place, mask=present, other=0)
        for corner in tl.static_range(4):
            token, row_share, column_share, visible = _corner(square, corner)
            mask = visible[:, None] & (channel < channels)[None, :]
            value = tl.load(pixels + token[:, None] * (heads * channels), mask=mask, other=0).to(total.dtype)
            total += (weight * row_share * column_share)[:, None] * value
    tl.store(result + program * channels + channel, tl.sum(total, 0), mask=channel < channels)


@triton.jit(do_not_specialize=["tokens", "queries", "squares_per_pair"])
def gradients_of_places(
    values: tl.tensor,
    levels: tl.tensor,
    locations: tl.tensor,
    weights: tl.tensor,
    gradient: tl.tensor,
    of_locations: tl.tensor,
    of_weights: tl.tensor,
    squares: tl.tensor,
    tokens: tl.tensor,
    queries: tl.tensor,
    squares_per_pair: tl.tensor,
    heads: tl.constexpr,
    channels: tl.constexpr,
    points: tl.constexpr,
    samples: tl.constexpr,
    width: tl.constexpr,
    block: tl.constexpr,
) -> None:
    """Write the gradients of locations and weights of one (image, query, head) per program, and the squares of its samples."""
    program = tl.program_id(0).to(tl.int64)
    image, head = program // heads // queries, program % heads
    channel = tl.arange(0, width)
    pixels = values + (image * tokens * heads + head) * channels + channel[None, :]
    incoming = tl.load(gradient + program * channels + channel, mask=channel < channels, other=0)[None, :]
    for first in range(0, samples, block):
        index = first + tl.arange(0, block)
        place, present = program * samples + index, index < samples
        square = _square(levels, locations, place, index // points, present)
        weight = tl.load(weights + place, mask=present, other=0)
        sampled = tl.full([block], 0, weight.dtype)
        along_x, along_y = sampled, sampled
        for corner in tl.static_range(4):
            token, row_share, column_share, visible = _corner(square, corner)
            mask = visible[:, None] & (channel < channels)[None, :]
            value = tl.load(pixels + token[:, None] * (heads * channels), mask=mask, other=0).to(weight.dtype)
            product = tl.sum(value * incoming, 1)
            sampled += row_share * column_share * product
            along_x += (row_share if corner % 2 else -row_share) * product
            along_y += (column_share if corner // 2 else -column_share) * product
        _, rows, columns, first_square, left, top, _, _, inside = square
        tl.store(of_weights + place, sampled, mask=present)
        tl.store(of_locations + 2 * place, along_x * weight * columns, mask=present)
        tl.store(of_locations + 2 * place + 1, along_y * weight * rows, mask=present)
        number = (image * heads + head) * squares_per_pair + first_square + (top + 1) * (columns + 1) + left + 1
        outside = tl.num_programs(0).to(tl.int64) // queries * squares_per_pair
        tl.store(squares + place, tl.where(inside, number, outside), mask=present)


@triton.jit(do_not_specialize=["tokens", "squares_per_pair"])
def gradient_of_values(
    levels: tl.tensor,
    locations: tl.tensor,
    weights: tl.tensor,
    gradient: tl.tensor,
    order: tl.tensor,
    starts: tl.tensor,
    of_values: tl.tensor,
    tokens: tl.tensor,
    squares_per_pair: tl.tensor,
    heads: tl.constexpr,
    channels: tl.constexpr,
    level_count: tl.constexpr,
    samples: tl.constexpr,
    width: tl.constexpr,
    block: tl.constexpr,
    level_block: tl.constexpr,
) -> None:
    """Write the gradient of one value per program: a sum over the samples in the four squares around it, in the order of `order`."""
    program = tl.program_id(0).to(tl.int64)
    pair = program // tokens
    # Tokens of the last level collect the most samples: they start first, and the short sums fill the gaps at the end.
    token = tokens - 1 - program % tokens
    level_index = tl.arange(0, level_block)
    first_tokens = tl.load(levels + 4 * level_index, mask=level_index < level_count, other=0)
    level = levels + 4 * (tl.sum(((level_index < level_count) & (first_tokens <= token)).to(tl.int32), 0) - 1)
    rows, columns = tl.load(level + 1), tl.load(level + 2)
    row, column = (token - tl.load(level)) // columns, (token - tl.load(level)) % columns
    # The two squares above the value are neighbours in `order`, and so are the two below.
    above = starts + pair * squares_per_pair + tl.load(level + 3) + row * (columns + 1) + column
    first, second = tl.load(above), tl.load(above + columns + 1)
    above_count = tl.load(above + 2) - first
    count = above_count + tl.load(above + columns + 3) - second
    channel = tl.arange(0, width)
    total = tl.full([block, width], 0, locations.dtype.element_ty)
    for begin in range(0, count, block):
        index = begin + tl.arange(0, block)
        position = tl.where(index < above_count, first + index, second + index - above_count)
        place = tl.load(order + position, mask=index < count, other=0)
        x = tl.load(locations + 2 * place, mask=index < count, other=0) * columns - 0.5
        y = tl.load(locations + 2 * place + 1, mask=index < count, other=0) * rows - 0.5
        share = tl.load(weights + place, mask=index < count, other=0)
        share *= tl.maximum(1 - tl.abs(x - column), 0) * tl.maximum(1 - tl.abs(y - row), 0)
        mask = (index < count)[:, None] & (channel < channels)[None, :]
        total += share[:, None] * tl.load(gradient + (place // samples * channels)[:, None] + channel[None, :], mask=mask, other=0)
    target = of_values + ((pair // heads * tokens + token) * heads + pair % heads) * channels
    tl.store(target + channel, tl.sum(total, 0), mask=channel < channels)


@triton.jit
def _square(levels: tl.tensor, locations: tl.tensor, place: tl.tensor, level: tl.tensor, present: tl.tensor) -> tl.tuple:
    """Level and square of samples: first token, rows, columns, first square; left, top, shares of the right and bottom corners; whether inside."""
    start, rows = tl.load(levels + 4 * level, mask=present, other=0), tl.load(levels + 4 * level + 1, mask=present, other=1)
    columns, first_square = tl.load(levels + 4 * level + 2, mask=present, other=1), tl.load(levels + 4 * level + 3, mask=present, other=0)
    x = tl.load(locations + 2 * place, mask=present, other=0) * columns - 0.5
    y = tl.load(locations + 2 * place + 1, mask=present, other=0) * rows - 0.5
    inside = present & (x >= -1) & (x < columns) & (y >= -1) & (y < rows)
    # Places that no integer holds are replaced before they become one.
    x, y = tl.where(inside, x, 0.0), tl.where(inside, y, 0.0)
    left, top = tl.floor(x), tl.floor(y)
    return start, rows, columns, first_square, left.to(tl.int32), top.to(tl.int32), x - left, y - top, inside


@triton.jit
def _corner(square: tl.tuple, corner: tl.constexpr) -> tl.tuple:
    """Corner 0 to 3 (top left, top right, bottom left, bottom right) of squares: token, shares of its row and column, whether it is on the map."""
    start, rows, columns, _, left, top, right_share, bottom_share, inside = square
    row, row_share = top + corner // 2, bottom_share if corner // 2 else 1 - bottom_share
    column, column_share = left + corner % 2, right_share if corner % 2 else 1 - right_share
    visible = inside & (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    return (start + row * columns + column).to(tl.int64), row_share, column_share, visible
