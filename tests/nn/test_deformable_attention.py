import math

import pytest
import torch
from sampling_ways import outputs_and_gradients
from torch import Tensor

from mutdet.nn.deformable_attention import DeformableAttention, around_cells
from mutdet.nn.feature_levels import FeatureLevels
from mutdet.nn.level_sampling.choice import Sampling, sample_levels
from mutdet.nn.level_sampling.on_cpu import sample_levels_on_cpu
from mutdet.nn.level_sampling.plain import sample_levels_plain

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


WAYS = pytest.mark.parametrize("way", [sample_levels_plain, sample_levels_on_cpu])


@WAYS
@pytest.mark.parametrize("seed", range(3))
def test_samples_equal_a_loop_over_points(way: Sampling, seed: int) -> None:
    values, locations, weights = sampling_inputs(seed)
    torch.testing.assert_close(way(values, SHAPES, locations, weights), naive(values, locations, weights))
    single = way(values.float(), SHAPES, locations.float(), weights.float())
    torch.testing.assert_close(single.double(), naive(values, locations, weights), atol=1e-5, rtol=1e-5)


@WAYS
@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_all_inputs(way: Sampling, seed: int) -> None:
    inputs = [x.requires_grad_() for x in sampling_inputs(seed, batch=1, queries=2, channels=2, points=2)]
    assert torch.autograd.gradcheck(lambda v, o, w: way(v, SHAPES, o, w), inputs)


@pytest.mark.parametrize(("heads", "channels", "points", "queries"), [(1, 1, 1, 1), (3, 5, 2, 7), (8, 16, 4, 33), (2, 33, 3, 1)])
@pytest.mark.parametrize("shapes", [((1, 1),), ((7, 3), (1, 5)), ((13, 11), (7, 6), (4, 3), (1, 1))])
def test_compiled_and_plain_agree_on_odd_shapes(shapes: tuple[tuple[int, int], ...], heads: int, channels: int, points: int, queries: int) -> None:
    generator = torch.Generator().manual_seed(len(shapes) + heads)
    tokens = sum(rows * columns for rows, columns in shapes)
    values = torch.randn(2, tokens, heads, channels, generator=generator)
    locations = torch.rand(2, queries, heads, len(shapes), points, 2, generator=generator) * 1.4 - 0.2
    weights = torch.rand(2, queries, heads, len(shapes), points, generator=generator)
    upstream = torch.randn(2, queries, heads * channels, generator=generator)
    results = [outputs_and_gradients(way, (values, locations, weights), shapes, upstream) for way in (sample_levels_plain, sample_levels_on_cpu)]
    for plain, compiled in zip(*results, strict=True):
        # Single precision: sums of some hundred products in another order.
        torch.testing.assert_close(compiled, plain, atol=1e-5 * float(plain.abs().max()), rtol=1e-5)


# Places on the borders of a level, half a cell inside and half a cell beyond, all exact in floating point; in the middle, the derivative jumps too.
@pytest.mark.parametrize("place", [-0.125, 0.0, 0.125, 0.375, 0.875, 1.0, 1.125])
def test_compiled_and_plain_agree_on_borders_and_centres(place: float) -> None:
    generator = torch.Generator().manual_seed(0)
    values, locations = torch.randn(1, 16, 1, 3, generator=generator), torch.rand(1, 4, 1, 1, 2, 2, generator=generator)
    locations[:, ::2, ..., 0], locations[:, 1::2, ..., 1] = place, place
    inputs, upstream = (values, locations, torch.ones(1, 4, 1, 1, 2)), torch.randn(1, 4, 3, generator=generator)
    results = [outputs_and_gradients(way, inputs, ((4, 4),), upstream) for way in (sample_levels_plain, sample_levels_on_cpu)]
    for plain, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled, plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("columns", [1, 7, 63, 64, 65, 128])
def test_places_one_rounding_beside_cell_borders(columns: int) -> None:
    borders = (torch.arange(-2, columns + 3) + 0.5) / columns
    places = torch.cat([borders, torch.nextafter(borders, torch.tensor(torch.inf)), torch.nextafter(borders, torch.tensor(-torch.inf))])
    locations = torch.stack([places, torch.full_like(places, 0.5)], -1)[None, :, None, None, None]
    # Values grow by more than the tolerance from cell to cell: a wrong cell shows.
    values, weights = torch.arange(1.0, 1 + columns)[None, :, None, None] ** 2, torch.ones(1, len(places), 1, 1, 1)
    results = [way(values, ((1, columns),), locations, weights) for way in (sample_levels_plain, sample_levels_on_cpu)]
    torch.testing.assert_close(results[1], results[0], rtol=1e-4, atol=1e-2)


def test_a_place_that_is_no_number_reads_nothing_beside_the_map() -> None:
    values, locations, weights = (x.float() for x in sampling_inputs(0))
    assert not sample_levels_on_cpu(values, SHAPES, torch.full_like(locations, torch.nan), weights).any()


def test_any_number_of_threads_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = tuple(x.float() for x in sampling_inputs(0, batch=3, heads=3))
    upstream = torch.ones(3, 5, 12)
    expected = outputs_and_gradients(sample_levels_on_cpu, inputs, SHAPES, upstream)
    for threads in (1, 2, 4, 16):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert all(map(torch.equal, outputs_and_gradients(sample_levels_on_cpu, inputs, SHAPES, upstream), expected))


@pytest.mark.parametrize("way", [sample_levels_plain, sample_levels_on_cpu])
def test_places_far_outside_give_zero(way: Sampling) -> None:
    values, locations, weights = (x.float() for x in sampling_inputs(0))
    for place in (-1e30, -1.0, 2.0, 1e30):
        assert not way(values, SHAPES, torch.full_like(locations, place), weights).any()


def test_half_precision_is_sampled_in_single() -> None:
    values, locations, weights = (x.float() for x in sampling_inputs(0))
    result = sample_levels(values.bfloat16(), SHAPES, locations, weights.bfloat16())
    torch.testing.assert_close(result, sample_levels(values.bfloat16().float(), SHAPES, locations, weights.bfloat16().float()))
    assert result.dtype == torch.float32


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
