"""Tiles that are decoded, searched and finished at the same time."""

import threading

import cv2
import numpy as np
import pytest

from mutdet.embedding.tile_images import decode_image
from mutdet.proposals.mask import Mask, Region
from mutdet.proposals.tile_stream import masks_of_tiles
from mutdet.settings.errors import UserError


class Brightness:
    """One mask a tile, whose predicted IoU is the brightness of the tile's first pixel."""

    def __init__(self, tiles_per_batch=1):
        self.tiles_per_batch = tiles_per_batch
        self.batches = []
        self.threads = set()

    def search(self, images, tile_ids):
        self.batches.append(list(tile_ids))
        return [lambda image=image: self._finish(image) for image in images]

    def _finish(self, image):
        self.threads.add(threading.current_thread())
        return [Mask(image.shape[:2], Region(0, 0, 1, 1, b"\1"), float(image[0, 0, 0]), 1.0, (0.0, 0.0))]


def tile(number):
    return {"tile_id": f"t{number}", "image": cv2.imencode(".png", np.full((4, 4, 3), number, np.uint8))[1].tobytes()}


@pytest.mark.parametrize("count", [0, 1, 2, 7, 20])
@pytest.mark.parametrize("tiles_per_batch", [1, 3])
def test_every_tile_once_in_order(count, tiles_per_batch):
    generator = Brightness(tiles_per_batch)
    found = list(masks_of_tiles(generator, map(tile, range(count)), decode_image))
    assert [(tile_id, masks[0].predicted_iou) for tile_id, masks in found] == [(f"t{n}", float(n)) for n in range(count)]
    assert [len(batch) for batch in generator.batches] == [tiles_per_batch] * (count // tiles_per_batch) + [count % tiles_per_batch] * (
        count % tiles_per_batch > 0
    )
    assert threading.main_thread() not in generator.threads


def test_reads_only_a_few_tiles_ahead():
    read = []

    def tiles():
        for number in range(100):
            read.append(number)
            yield tile(number)

    stream = masks_of_tiles(Brightness(), tiles(), decode_image)
    next(stream)
    assert len(read) < 10
    stream.close()


def test_broken_tile_is_named():
    with pytest.raises(UserError, match="t2"):
        list(masks_of_tiles(Brightness(), [tile(0), tile(1), {"tile_id": "t2", "image": b"none"}, tile(3)], decode_image))


def test_an_error_while_finishing_is_raised():
    generator = Brightness()
    generator._finish = lambda image: 1 / 0
    with pytest.raises(ZeroDivisionError):
        list(masks_of_tiles(generator, map(tile, range(3)), decode_image))
