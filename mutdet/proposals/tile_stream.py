"""Masks of a stream of tiles: while the network looks at some, the next are decoded and the masks of the last are finished."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

from mutdet.proposals.mask import Image, Mask, MaskGenerator

_AHEAD = 2
"""Batches decoded, and batches finished, beside the one in the network."""

Decode = Callable[[bytes, str], Image]
Decoded = tuple[list[str], Future[list[Image]]]


def masks_of_tiles(generator: MaskGenerator, tiles: Iterable[dict[str, Any]], decode: Decode) -> Iterator[tuple[str, list[Mask]]]:
    """Id and masks of every tile, in the order of the tiles; each is decoded once.

    Args:
        generator: finds the masks.
        tiles: rows with tile_id and image.
        decode: pixels [H, W, 3] from the bytes and the id of a tile; what it raises is raised here.
    """
    waiting: deque[tuple[str, Future[list[Mask]]]] = deque()
    with ThreadPoolExecutor(1, "decode") as decoding, ThreadPoolExecutor(1, "finish") as finishing:
        for tile_ids, images in _decoded(decoding, decode, _batches(iter(tiles), generator.tiles_per_batch)):
            for tile_id, finish in zip(tile_ids, generator.search(images.result(), tile_ids), strict=True):
                waiting.append((tile_id, finishing.submit(finish)))
            while len(waiting) > _AHEAD * generator.tiles_per_batch:
                yield _first(waiting)
        while waiting:
            yield _first(waiting)


def _first(waiting: deque[tuple[str, Future[list[Mask]]]]) -> tuple[str, list[Mask]]:
    tile_id, masks = waiting.popleft()
    return tile_id, masks.result()


def _batches(tiles: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    while some := list(islice(tiles, size)):
        yield some


def _decoded(pool: ThreadPoolExecutor, decode: Decode, batches: Iterable[list[dict[str, Any]]]) -> Iterator[Decoded]:
    """Ids and pixels of each batch, decoded ahead of their turn."""
    ready: deque[Decoded] = deque()
    for tiles in batches:
        ready.append(([tile["tile_id"] for tile in tiles], pool.submit(_images, tiles, decode)))
        if len(ready) > _AHEAD:
            yield ready.popleft()
    yield from ready


def _images(tiles: list[dict[str, Any]], decode: Decode) -> list[Image]:
    return [decode(tile["image"], tile["tile_id"]) for tile in tiles]
