"""Tiles as tensors."""

import numpy as np
import pytest
import torch
from drawn_tables import TINY, draw_tables

from mutdet.settings.training import TrainingSettings
from mutdet.training.pseudo_objects import read_pseudo_objects
from mutdet.training.sampling import Draw
from mutdet.training.tile_dataset import TileDataset, collate, pad_images
from mutdet.training.tile_index import TileIndex

SETTINGS = TrainingSettings(image_size=192, flip_horizontal=0.3, flip_vertical=0.3, flip_diagonal=0.3)


def _dataset(drawn, settings=SETTINGS):
    index = TileIndex.read(drawn.tiles)
    return TileDataset(index, read_pseudo_objects(drawn.pseudo_labels, index, 0.0, 12, TINY.width), settings, "pretrain")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_tables(tmp_path_factory.mktemp("drawn"), 5)


def test_objects_are_bright_where_their_boxes_are(drawn):
    dataset = _dataset(drawn)
    for tile in range(3):
        for epoch in range(4):
            _, image, targets = dataset[Draw(tile, epoch)]
            assert image.shape == (3, 192, 192)
            columns, rows = targets.boxes[:, :2].long().T
            assert (image[0, rows, columns] > 1.0).all()
            assert len(targets.boxes) == len(targets.labels) == len(targets.embeddings) == 4


def test_a_draw_does_not_depend_on_shards_or_order(drawn, tmp_path):
    cut = _dataset(draw_tables(tmp_path, 5, shards=3))
    whole = _dataset(drawn)
    for draw in (Draw(3, 0), Draw(0, 1), Draw(3, 0)):
        torch.testing.assert_close(cut[draw][1], whole[draw][1], rtol=0, atol=0)


def test_passes_flip_differently(drawn):
    dataset = _dataset(drawn)
    images = {dataset[Draw(0, epoch)][1].numpy().tobytes() for epoch in range(40)}
    assert len(images) == 4


def test_images_of_several_sizes_are_padded():
    images = [torch.ones(3, 4, 6), torch.ones(3, 5, 2)]
    padded, sizes = pad_images(images)
    assert padded.shape == (2, 3, 5, 6)
    assert sizes.tolist() == [[4, 6], [5, 2]]
    assert padded.sum(dim=(1, 2, 3)).tolist() == [72, 30]


def test_batch_with_an_empty_tile(drawn):
    dataset = _dataset(drawn)
    batch = collate([dataset[Draw(4, 0)], dataset[Draw(0, 0)]])
    assert [len(targets.boxes) for targets in batch.targets] == [0, 4]
    assert np.isfinite(batch.images.numpy()).all()


def test_kept_tiles_change_nothing(drawn, monkeypatch):
    draws = [Draw(tile, epoch) for epoch in range(3) for tile in range(4)]
    monkeypatch.setattr("mutdet.training.tile_dataset.KEPT_BYTES", 0)
    decoding = _dataset(drawn)
    monkeypatch.setattr("mutdet.training.tile_dataset.KEPT_BYTES", 2 * 192 * 192 * 3)
    keeping = _dataset(drawn)
    for draw in draws:
        (_, image, targets), (_, expected, wanted) = keeping[draw], decoding[draw]
        assert torch.equal(image, expected)
        assert torch.equal(targets.boxes, wanted.boxes)
    assert sorted(keeping._kept) == [0, 1]
    assert not decoding._kept
