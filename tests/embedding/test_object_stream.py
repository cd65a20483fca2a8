"""Merging of sorted tables."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mutdet.embedding import object_stream
from mutdet.embedding.object_stream import embedding_width, vector_blocks
from mutdet.settings.errors import UserError


def keys_of(count: int) -> list[tuple[str, int]]:
    return sorted((f"image{i % 37:02d}__8__0___{i % 5}", i) for i in range(count))


@pytest.mark.parametrize("shards", [1, 2, 7])
def test_blocks_are_in_key_order_whatever_the_shards(write_embeddings: Callable, monkeypatch: pytest.MonkeyPatch, shards: int) -> None:
    monkeypatch.setattr(object_stream, "BLOCK_ROWS", 64)
    keys = keys_of(700)
    vectors = np.arange(700 * 2).reshape(700, 2) % 2048
    owner = np.array([int(key[0][5:7]) % shards for key in keys])
    paths = [write_embeddings(f"{s}", [k for k, o in zip(keys, owner, strict=True) if o == s], vectors[owner == s]) for s in range(shards)]
    blocks = list(vector_blocks(paths))
    assert [len(block) for block in blocks] == [64] * 10 + [60]
    np.testing.assert_array_equal(np.concatenate(blocks), vectors)


def test_interleaved_keys(write_embeddings: Callable) -> None:
    keys = keys_of(300)
    vectors = np.arange(300)[:, None]
    paths = [write_embeddings(f"{s}", keys[s::3], vectors[s::3]) for s in range(3)]
    np.testing.assert_array_equal(np.concatenate(list(vector_blocks(paths))), vectors)


def test_empty_tables_give_no_block(write_embeddings: Callable) -> None:
    assert not list(vector_blocks([write_embeddings("a", [], np.zeros((0, 3))), write_embeddings("b", [], np.zeros((0, 3)))]))


@pytest.mark.parametrize("keys", [[("b", 0), ("a", 0)], [("a", 1), ("a", 0)], [("a", 0), ("a", 0)]])
def test_unsorted_rows_are_refused(write_embeddings: Callable, keys: list[tuple[str, int]]) -> None:
    with pytest.raises(UserError, match="sorted"):
        list(vector_blocks([write_embeddings("a", keys, np.zeros((2, 3)))]))


def test_unsorted_across_batches_is_refused(write_embeddings: Callable) -> None:
    keys = [("b", i) for i in range(100)] + [("a", 0)]
    with pytest.raises(UserError, match="sorted"):
        list(vector_blocks([write_embeddings("a", keys, np.zeros((len(keys), 1)))]))


def test_key_in_two_tables_is_refused(write_embeddings: Callable) -> None:
    paths = [write_embeddings("a", [("x", 0), ("x", 1)], np.zeros((2, 3))), write_embeddings("b", [("x", 1)], np.zeros((1, 3)))]
    with pytest.raises(UserError, match="twice"):
        list(vector_blocks(paths))


def test_widths(write_embeddings: Callable, tmp_path: Path) -> None:
    a, b = write_embeddings("a", [], np.zeros((0, 3))), write_embeddings("b", [], np.zeros((0, 4)))
    assert embedding_width([a]) == 3
    for paths in ([a, b], [], [tmp_path / "absent"]):
        with pytest.raises(UserError):
            embedding_width(paths)


def test_memory_does_not_grow_with_rows(write_embeddings: Callable) -> None:
    count, width = 8000, 1024
    path = write_embeddings("a", [("tile", i) for i in range(count)], np.random.default_rng(0).normal(size=(count, width)).astype(np.float16))
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in vector_blocks([path])]
    assert max(held) < 0.2 * count * width * 2
