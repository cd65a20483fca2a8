"""Errors of reading, and that no reading process outlives them."""

import gc
import multiprocessing
from contextlib import closing

import pytest
from drawn_tables import draw_tables

from mutdet.settings.errors import UserError
from mutdet.settings.training import TrainingSettings
from mutdet.tables import tiles
from mutdet.tables.read import read_table
from mutdet.tables.write import write_table
from mutdet.training.objects import no_objects
from mutdet.training.reading import read_batches
from mutdet.training.sampling import BatchOrder, DrawnDataset
from mutdet.training.tile_dataset import TileDataset, collate
from mutdet.training.tile_index import TileIndex

ORDER = BatchOrder(4, 2, 6, 0, "test")


class _Numbers(DrawnDataset[int]):
    def __init__(self, bad: int = -1) -> None:
        self.bad = bad

    def __len__(self) -> int:
        return 4

    def __getitem__(self, draw) -> int:
        if draw.tile == self.bad:
            raise OSError("the disk is gone")
        return draw.tile


@pytest.fixture(autouse=True)
def _without_garbage_collection():
    """So that ends of processes do not hang on when it runs."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order(workers):
    with closing(read_batches(_Numbers(), ORDER, list, workers)) as batches:
        assert list(batches) == [[draw.tile for draw in draws] for draws in ORDER]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 1])
def test_a_tile_that_does_not_decode_is_told_in_one_line(tmp_path, workers):
    [path] = draw_tables(tmp_path, 4).tiles
    write_table(path, [{**row, "image": b"no image"} for row in read_table(path).to_pylist()], tiles.SCHEMA)
    index = TileIndex.read([path])
    dataset = TileDataset(index, no_objects(len(index)), TrainingSettings(epochs=1, image_size=32), "test")
    with pytest.raises(UserError, match=r"^img0\d__96__0___0: image bytes do not decode; run partition again$"):
        list(read_batches(dataset, ORDER, collate, workers))
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 2])
def test_other_errors_keep_their_traceback(workers):
    with pytest.raises(RuntimeError, match=r"(?s)cannot be read.*in __getitem__.*OSError: the disk is gone"):
        list(read_batches(_Numbers(bad=1), ORDER, list, workers))
    assert not multiprocessing.active_children()


def test_closing_ends_the_processes():
    with closing(read_batches(_Numbers(), ORDER, list, 2)) as batches:
        next(batches)
        assert multiprocessing.active_children()
    assert not multiprocessing.active_children()
