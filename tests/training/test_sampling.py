"""Order of tiles."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from mutdet.training.sampling import BatchOrder, Draw


@given(st.integers(1, 12), st.integers(1, 5), st.integers(1, 12), st.integers(0, 12))
def test_resumed_order_is_the_end_of_the_whole(tiles, batch, steps, start):
    whole = list(BatchOrder(tiles, batch, steps, 0, "a"))
    assert [len(draws) for draws in whole] == [batch] * steps
    assert list(BatchOrder(tiles, batch, steps, 0, "a", min(start, steps))) == whole[min(start, steps) :]


def test_every_pass_holds_every_tile_once_in_another_order():
    draws = [draw for batch in BatchOrder(7, 2, 7, 0, "a") for draw in batch]
    assert Counter(draws) == Counter(Draw(tile, epoch) for epoch in (0, 1) for tile in range(7))
    assert [draw.tile for draw in draws[:7]] != [draw.tile for draw in draws[7:]]


def test_stage_and_seed_change_the_order():
    orders = {tuple(draw.tile for batch in BatchOrder(20, 4, 5, seed, stage) for draw in batch) for seed in (0, 1) for stage in ("pretrain", "finetune")}
    assert len(orders) == 4
