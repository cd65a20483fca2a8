import math

import pytest
import torch
from torch import Tensor

from mutdet.nn.deformable_attention import DeformableAttention, around_cells, sample_levels
from mutdet.nn.feature_levels import FeatureLevels

SHAPES = ((4, 6), (2, 3))
TOKENS = 4 * 6 + 2 * 3


def bilinear(grid: Tensor, x: float, y: float) -> Tensor:
    """Value of a [rows, columns, channels] map at pixel coordinates, zero outside; pixel centres at + 0.5."""
    rows, columns, channels = grid.shape
    total = torch.zeros(channels, dtype=grid.dtype)
    x, y = x - 0.5, y - 0.5
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < rows and 0 <= column < columns:
                total += grid[row, column] * (1 - abs(x - column)) * (1 - abs(y - row))
    return total


def naive(values: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    batch, queries, heads, _, points, _ = locations.shape
    result = torch.zeros(batch, queries, heads, values.shape[-1], dtype=values.dtype)
    for b in range(batch):
        for h in range(heads):
            start = 0
            for level, (rows, columns) in enumerate(SHAPES):
                grid = values[b, start : start + rows * columns, h].reshape(rows, columns, -1)
                start += rows * columns
                for q in range(queries):
                    for p in range(points):
                        x, y = locations[b, q, h, level, p].tolist()
                        result[b, q, h] += weights[b, q, h, level, p] * bilinear(grid, x * columns, y * rows)
    return result.flatten(2)


def sampling_inputs(seed: int, batch: int = 2, queries: int = 5, heads: int = 2, points: int = 3, channels: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(batch, TOKENS, heads, channels, generator=generator, dtype=torch.float64)
    # a quarter of the samples lies outside the level
    locations = torch.rand(batch, queries, heads, 2, points, 2, generator=generator, dtype=torch.float64) * 1.3 - 0.15
    weights = torch.rand(batch, queries, heads, 2, points, generator=generator, dtype=torch.float64)
    return values, locations, weights


@pytest.mark.parametrize("seed", range(3))
def test_samples_equal_a_loop_over_points(seed: int) -> None:
    values, locations, weights = sampling_inputs(seed)
    torch.testing.assert_close(sample_levels(values, SHAPES, locations, weights), naive(values, locations, weights))
    single = sample_levels(values.float(), SHAPES, locations.float(), weights.float())
    torch.testing.assert_close(single.double(), naive(values, locations, weights), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_all_inputs(seed: int) -> None:
    inputs = [x.requires_grad_() for x in sampling_inputs(seed, batch=1, queries=2, channels=2, points=2)]
    assert torch.autograd.gradcheck(lambda v, o, w: sample_levels(v, SHAPES, o, w), inputs)


def levels_of(cells: list[list[list[int]]]) -> FeatureLevels:
    return FeatureLevels(SHAPES, torch.tensor(cells), torch.full((len(cells), 2), 64))


def module() -> DeformableAttention:
    torch.manual_seed(0)
    attention = DeformableAttention(8, 2, 2, 2).double()
    for parameter in attention.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return attention


def test_gradients_through_the_module() -> None:
    attention, levels = module(), levels_of([[[4, 6], [2, 3]]])
    query, memory = torch.randn(1, TOKENS, 8, dtype=torch.float64).requires_grad_(), torch.randn(1, TOKENS, 8, dtype=torch.float64).requires_grad_()
    padding, place = levels.padding_mask, around_cells(levels)
    assert torch.autograd.gradcheck(lambda q, m: attention(q, m, padding, SHAPES, place), (query, memory), fast_mode=True)


def test_padded_tokens_have_no_influence() -> None:
    attention, levels = module(), levels_of([[[3, 4], [2, 2]]])
    memory, query = torch.randn(1, TOKENS, 8, dtype=torch.float64), torch.randn(1, TOKENS, 8, dtype=torch.float64)
    padding = levels.padding_mask
    changed = torch.where(padding[..., None], memory + 100, memory)
    place = around_cells(levels)
    torch.testing.assert_close(attention(query, memory, padding, SHAPES, place), attention(query, changed, padding, SHAPES, place))
    inside = torch.where(padding[..., None], memory, memory + 100)
    assert not torch.allclose(attention(query, memory, padding, SHAPES, place), attention(query, inside, padding, SHAPES, place))


def test_zero_offsets_sample_the_tokens_own_cell() -> None:
    levels = levels_of([[[4, 6], [2, 3]]])
    locations = around_cells(levels)(torch.zeros(1, TOKENS, 1, 2, 1, 2))
    for token, (level, row, column) in {0: (0, 0, 0), 7: (0, 1, 1), 24: (1, 0, 0), 29: (1, 1, 2)}.items():
        rows, columns = SHAPES[level]
        assert locations[0, token, 0, level, 0].tolist() == pytest.approx([(column + 0.5) / columns, (row + 0.5) / rows])
