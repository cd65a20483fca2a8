"""Pixels of tiles."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mutdet.data import images
from mutdet.data.images import open_image
from mutdet.data.tiling import cut_windows, encode_png
from mutdet.data.windows import select_windows
from mutdet.settings.datasets import DatasetSettings

PAD = (124, 116, 104)


@pytest.fixture(scope="module")
def photo():
    return np.random.default_rng(1).integers(0, 256, (150, 230, 3)).astype(np.uint8)


@pytest.fixture
def path(photo, tmp_path):
    Image.fromarray(photo).save(tmp_path / "P1.png")
    return tmp_path / "P1.png"


def cut(path, **values):
    dataset = DatasetSettings(images=path.parent, content_fraction=0.0, **values)
    with open_image(path) as image:
        windows, _ = select_windows(image.width, image.height, dataset)
        return list(cut_windows(image, windows, dataset.window, dataset.pad_colour))


@pytest.mark.parametrize("whole_pixels", [1 << 24, 0])
@pytest.mark.parametrize(("window", "stride"), [(64, 48), (200, 100), (150, 150), (256, 200)])
def test_tiles_are_the_pixels_of_their_windows(photo, path, monkeypatch, whole_pixels, window, stride):
    monkeypatch.setattr(images, "_WHOLE_PIXELS", whole_pixels)
    padded = np.full((600, 600, 3), PAD, np.uint8)
    padded[:150, :230] = photo
    tiles = cut(path, window=window, stride=stride)
    assert tiles
    for w, tile in tiles:
        assert (tile == padded[w.y : w.y + window, w.x : w.x + window]).all()


def test_rows_are_decoded_once_per_scale(path, monkeypatch):
    monkeypatch.setattr(images, "_WHOLE_PIXELS", 0)
    rows = []
    plain = images.ImageReader._decode
    monkeypatch.setattr(images.ImageReader, "_decode", lambda self, start, stop: rows.extend(range(start, stop)) or plain(self, start, stop))
    cut(path, window=64, stride=48, scales=[1.0, 0.7])
    assert sorted(rows) == sorted([*range(150)] * 2)


def test_half_scale_is_the_mean_of_four_pixels(photo, path):
    tiles = cut(path, window=32, stride=24, scales=[0.5])
    assert len(tiles) == 3 * 5
    for w, tile in tiles:
        assert w.side == 64
        block = photo[w.y : w.y + 64, w.x : w.x + 64].reshape(32, 2, 32, 2, 3).mean((1, 3))
        assert np.abs(tile - block).max() <= 0.51


def test_padding_of_a_scaled_tile_has_its_own_colour(path):
    ((w, tile),) = cut(path, window=128, stride=100, scales=[0.5], pad_colour=(255, 0, 0))
    assert (w.side, tile.shape) == (256, (128, 128, 3))
    assert (tile[75:] == (255, 0, 0)).all()
    assert (tile[:, 115:] == (255, 0, 0)).all()
    assert not (tile[:75, :115] == (255, 0, 0)).all(axis=2).any()


def test_scaled_tiles_stay_in_place(tmp_path):
    """A bright square keeps its position: pixel i of the tile covers source pixels [i / scale, (i + 1) / scale)."""
    picture = np.zeros((300, 300, 3), np.uint8)
    picture[100:160, 120:220] = 255
    Image.fromarray(picture).save(tmp_path / "P1.png")
    for scale in (0.4, 0.75, 1.0, 1.6, 3.0):
        for w, tile in cut(tmp_path / "P1.png", window=128, stride=100, scales=[scale]):
            factor = 128 / w.side
            ys, xs = np.mgrid[0:128, 0:128] + 0.5
            x, y = xs / factor + w.x, ys / factor + w.y
            inside = (x > 122) & (x < 218) & (y > 102) & (y < 158)
            outside = ((x < 118) | (x > 222) | (y < 98) | (y > 162)) & (x < 300) & (y < 300)
            assert (tile[inside] > 200).all()
            assert (tile[outside] < 55).all()


def test_png_is_lossless(photo):
    decoded = cv2.imdecode(np.frombuffer(encode_png(photo), np.uint8), cv2.IMREAD_UNCHANGED)
    assert (decoded[..., ::-1] == photo).all()
