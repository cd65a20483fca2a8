"""Reading of images of every kind, against Pillow and tifffile."""

import io
import logging

import numpy as np
import pytest
import rasterio
import tifffile
from PIL import Image
from rasterio.enums import ColorInterp
from rasterio.transform import from_origin

from mutdet.data import images
from mutdet.data.images import choose_bands, open_image
from mutdet.data.orientation import read_orientation, warn_of_orientation
from mutdet.settings.errors import UserError

HEIGHT, WIDTH = 97, 131


@pytest.fixture(scope="module")
def photo():
    random = np.random.default_rng(5)
    blocks = np.kron(random.integers(0, 255, (HEIGHT // 8 + 1, WIDTH // 8 + 1, 3)), np.ones((8, 8, 1)))[:HEIGHT, :WIDTH]
    return np.clip(blocks + random.normal(0, 6, blocks.shape), 0, 255).astype(np.uint8)


def encoded(photo, mode="RGB", **options):
    target = io.BytesIO()
    Image.fromarray(photo).convert(mode).save(target, **options)
    return target.getvalue()


def tiff(array, **options):
    target = io.BytesIO()
    tifffile.imwrite(target, array, **options)
    return target.getvalue()


def write(folder, content, name="image.bin"):
    path = folder / name
    path.write_bytes(content)
    return path


def whole(path, *options):
    with open_image(path, *options) as image:
        return image.rows(0, image.height).copy()


@pytest.mark.parametrize(
    ("mode", "options", "tolerance"),
    [
        ("RGB", {"format": "PNG"}, 0),
        ("RGB", {"format": "BMP"}, 0),
        ("RGB", {"format": "TIFF"}, 0),
        ("RGB", {"format": "TIFF", "compression": "tiff_lzw"}, 0),
        ("RGB", {"format": "JPEG", "quality": 90, "subsampling": 0}, 2),
        ("RGB", {"format": "JPEG", "quality": 90, "subsampling": 0, "progressive": True}, 2),
        ("L", {"format": "JPEG", "quality": 90}, 2),
        ("CMYK", {"format": "JPEG", "quality": 95}, 2),
        ("CMYK", {"format": "TIFF"}, 1),
        ("L", {"format": "PNG"}, 0),
        ("1", {"format": "PNG"}, 0),
        ("1", {"format": "TIFF"}, 0),
        ("P", {"format": "PNG"}, 0),
        ("P", {"format": "PNG", "bits": 4}, 0),
        ("P", {"format": "TIFF"}, 0),
        ("LA", {"format": "PNG"}, 0),
        ("RGBA", {"format": "PNG"}, 0),
        ("RGBA", {"format": "TIFF"}, 0),
    ],
)
def test_colours_are_those_that_pillow_shows(tmp_path, photo, mode, options, tolerance):
    path = write(tmp_path, encoded(photo, mode, **options))
    shown = Image.open(path)
    # Pillow blends nothing when alpha is dropped, which is what is asked for here.
    expected = np.asarray(shown.convert("RGB")).astype(int)
    found = whole(path)
    assert found.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(found - expected).max() <= tolerance


def test_rows_come_the_same_in_any_order_and_once(tmp_path, photo, monkeypatch):
    path = write(tmp_path, encoded(photo, format="PNG"))
    monkeypatch.setattr(images, "_WHOLE_PIXELS", 0)
    decoded = []
    plain = images.ImageReader._decode
    monkeypatch.setattr(images.ImageReader, "_decode", lambda self, start, stop: decoded.append((start, stop)) or plain(self, start, stop))
    with open_image(path) as image:
        for start, stop in [(0, 40), (30, 70), (60, 97), (64, 97), (0, 40), (10, 30)]:
            assert (image.rows(start, stop) == photo[start:stop]).all()
    assert decoded == [(0, 40), (40, 70), (70, 97), (0, 40)]


def test_small_image_is_decoded_once(tmp_path, photo, monkeypatch):
    path = write(tmp_path, encoded(photo, format="JPEG"))
    with open_image(path) as image:
        first = image.rows(20, 50)
        monkeypatch.setattr(images.ImageReader, "_decode", None)
        assert (image.rows(30, 40) == first[10:20]).all()
        assert image.rows(0, HEIGHT).shape == (HEIGHT, WIDTH, 3)


def geotiff(path, bands, *, mask=None, **profile):
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        options = {"driver": "GTiff", "width": bands.shape[2], "height": bands.shape[1], "count": len(bands), "dtype": bands.dtype, **profile}
        with rasterio.open(path, "w", **options) as target:
            target.write(bands)
            if mask is not None:
                target.write_mask(mask)
    return path


@pytest.fixture
def left_half():
    mask = np.zeros((64, 96), bool)
    mask[:, :48] = True
    return mask


def with_alpha(path, values, mask):
    return geotiff(path, np.concatenate([values, mask[None] * np.uint8(255)]), photometric="RGB", alpha="yes")


HOLES = {
    "alpha": with_alpha,
    "value": lambda path, values, mask: geotiff(path, np.where(mask, values, 0).astype(np.uint8), nodata=0),
    "16-bit value": lambda path, values, mask: geotiff(path, np.where(mask, values.astype(np.uint16), 65535), nodata=65535),
    "not a number": lambda path, values, mask: geotiff(path, np.where(mask, values.astype(np.float32), np.nan), nodata=np.nan),
    "mask": lambda path, values, mask: geotiff(path, values, mask=mask),
    "transparent png": lambda path, values, mask: Image.fromarray(np.dstack([*values, mask * np.uint8(255)])).save(path, format="PNG") or path,
}


@pytest.mark.parametrize("kind", HOLES)
@pytest.mark.parametrize("step", [1, 4])
def test_where_there_is_no_data(tmp_path, left_half, kind, step):
    values = np.random.default_rng(1).integers(1, 255, (3, 64, 96)).astype(np.uint8)
    with open_image(HOLES[kind](tmp_path / "image.tif", values, left_half)) as image:
        valid = image.valid_data(step)
        assert [valid.share(x, 8, 32, 32) for x in (0, 16, 32, 48, 64)] == [1.0, 1.0, 0.5, 0.0, 0.0]
        assert (image.rows(0, 64)[:, :48].max(axis=(0, 1)) > 0).all()


def test_a_value_for_no_data_in_one_band_is_data_in_the_others(tmp_path, left_half):
    values = np.full((3, 64, 96), 9, np.uint8)
    values[0, :, 48:] = 0
    with open_image(geotiff(tmp_path / "image.tif", values, nodata=0)) as image:
        assert image.valid_data(1).share(0, 0, 96, 64) == 1.0


def test_a_fourth_band_that_is_no_mask(tmp_path):
    # Near infrared, dark over water, in a file of four bands as GDAL writes it by default.
    values = np.random.default_rng(1).integers(1, 255, (4, 64, 96)).astype(np.uint8)
    values[3, :, 48:] = 0
    path = geotiff(tmp_path / "image.tif", values, photometric="RGB", alpha="yes")
    with rasterio.open(path) as source:
        assert source.colorinterp[3] == ColorInterp.alpha
    with open_image(path) as image:
        assert image.valid_data(1) is None


def test_soft_edges_of_a_mask(tmp_path, left_half):
    values = np.full((4, 64, 96), 255, np.uint8)
    values[3] = np.where(left_half, 255, 0)
    values[3, :, 46:48] = 100
    with open_image(geotiff(tmp_path / "image.tif", values, photometric="RGB", alpha="yes")) as image:
        assert image.valid_data(1).share(32, 0, 32, 64) == 0.5


def test_a_file_that_declares_no_holes_is_not_looked_through(tmp_path, photo, monkeypatch):
    with open_image(write(tmp_path, encoded(photo, format="PNG"))) as image:
        monkeypatch.setattr(image, "_source", type("Source", (), {"mask_flag_enums": image._source.mask_flag_enums})())
        assert image.valid_data(1) is None


TRUNCATED = {
    "png": lambda photo: encoded(photo, format="PNG"),
    "grey png": lambda photo: encoded(photo, "L", format="PNG"),
    "jpeg": lambda photo: encoded(photo, format="JPEG", quality=90),
    "progressive jpeg": lambda photo: encoded(photo, format="JPEG", quality=90, progressive=True),
    "bmp": lambda photo: encoded(photo, format="BMP"),
    "jpeg 2000": lambda photo: encoded(photo, format="JPEG2000"),
    "16-bit png": lambda photo: encoded(photo[..., 0].astype(np.uint16) * 200, "I;16", format="PNG"),
    "tiff": lambda photo: tiff(photo, photometric="rgb", rowsperstrip=16),
    "lzw tiff": lambda photo: tiff(photo, photometric="rgb", rowsperstrip=16, compression="lzw"),
    "tiled tiff": lambda photo: tiff(photo, photometric="rgb", tile=(32, 32), compression="zlib"),
    "planar tiff": lambda photo: tiff(photo.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"),
}


@pytest.mark.parametrize("kind", TRUNCATED)
@pytest.mark.parametrize("whole_pixels", [1 << 24, 0])
def test_cut_off_files_are_told(tmp_path, photo, monkeypatch, kind, whole_pixels):
    monkeypatch.setattr(images, "_WHOLE_PIXELS", whole_pixels)
    content = TRUNCATED[kind](photo)
    intact = whole(write(tmp_path, content))
    cuts = [0, 1, 7, 40, *np.linspace(60, len(content) - 200, 12).astype(int), *(len(content) - tail for tail in (150, 80, 40, 25, 14))]
    for cut in cuts:
        path = write(tmp_path, content[:cut])
        with pytest.raises(UserError) as told, open_image(path) as image:
            image.rows(0, image.height)
        message = str(told.value)
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
        with pytest.raises(UserError), open_image(path) as image:
            image.check()
    # A last byte that holds no pixel may be missing, but no pixel may be wrong.
    for tail in range(1, 14):
        try:
            assert (whole(write(tmp_path, content[:-tail])) == intact).all()
        except UserError:
            continue


def test_damaged_png_is_told(tmp_path, photo):
    content = bytearray(encoded(photo, format="PNG"))
    content[len(content) // 2] ^= 0xFF
    with pytest.raises(UserError, match="is no whole image"):
        whole(write(tmp_path, bytes(content)))


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"hello", "is no whole image"), (b"\x89PNG\r\n\x1a\n", "is no whole image"), (bytes(500), "is no whole image")],
)
def test_files_that_are_no_images(tmp_path, content, words):
    path = write(tmp_path, content, "P1.png")
    with pytest.raises(UserError, match=words) as told, open_image(path):
        pass
    assert str(told.value).startswith(f"{path}: ")


def test_missing_file_and_foreign_format(tmp_path, photo):
    with pytest.raises(UserError, match="image is missing"), open_image(tmp_path / "gone.png"):
        pass
    Image.fromarray(photo).save(tmp_path / "P1.gif")
    (tmp_path / "P1.gif").rename(tmp_path / "P1.png")
    with pytest.raises(UserError, match="holds GIF data"), open_image(tmp_path / "P1.png"):
        pass


def test_no_readable_band(tmp_path, photo):
    path = write(tmp_path, tiff(photo[..., 0].astype(np.complex64)))
    with pytest.raises(UserError, match="has no readable band"), open_image(path):
        pass


def percentile_reference(band):
    low, high = np.percentile(band.astype(float), [2, 98])
    return np.rint(np.clip((band - low) / (high - low) * 255, 0, 255))


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.int32, np.float32, np.float64, np.int8])
def test_more_than_8_bit_is_stretched_by_percentiles(tmp_path, photo, kind):
    values = (photo.astype(float) * [0.4, 0.3, 0.2]).astype(kind) - (20 if np.dtype(kind).kind != "u" else 0)
    found = whole(write(tmp_path, tiff(values, photometric="rgb")))
    for band in range(3):
        assert np.abs(found[..., band] - percentile_reference(values[..., band])).max() <= 1


def test_stretch_is_that_of_the_whole_image(tmp_path, photo, monkeypatch):
    monkeypatch.setattr(images, "_WHOLE_PIXELS", 0)
    values = photo.astype(np.uint16) * 50
    values[:50] //= 10
    path = write(tmp_path, tiff(values, photometric="rgb"))
    with open_image(path) as image:
        parts = [image.rows(start, min(start + 20, HEIGHT)).copy() for start in range(0, HEIGHT, 20)]
    assert np.abs(np.concatenate(parts)[..., 0] - percentile_reference(values[..., 0])).max() <= 1


def test_percentiles_of_a_large_image_come_from_a_reduced_one(tmp_path, photo, monkeypatch):
    values = np.tile(photo, (4, 4, 1)).astype(np.uint16) * 100
    path = write(tmp_path, tiff(values, photometric="rgb"))
    exact = whole(path).astype(int)
    monkeypatch.setattr(images, "_SAMPLE_SIDE", 128)
    reduced = whole(path).astype(int)
    assert 0 < np.abs(reduced - exact).max() < 20


def test_other_stretches(tmp_path, photo):
    grey = photo[..., 0].astype(np.uint16) * 257
    path = write(tmp_path, tiff(grey))
    assert (whole(path, None, "range") == photo[..., :1]).all()
    dull = write(tmp_path, tiff(photo // 4 + 90, photometric="rgb"), "dull.tif")
    assert (whole(dull) == photo // 4 + 90).all()
    assert (whole(dull, None, "range") == photo // 4 + 90).all()
    assert np.ptp(whole(dull, None, "percentile")) == 255
    with pytest.raises(UserError, match="float32 have no fixed range"):
        whole(write(tmp_path, tiff(photo.astype(np.float32), photometric="rgb"), "float.tif"), None, "range")


def test_values_that_do_not_count(tmp_path, photo):
    values = photo[..., 0].astype(np.float32)
    values[:40] = np.nan
    values[40, :5] = np.inf
    found = whole(write(tmp_path, tiff(values)))
    assert (found[:40] == 0).all()
    assert np.abs(found[41:, :, 0] - percentile_reference(values[41:])).max() <= 6
    for constant in (np.full((HEIGHT, WIDTH), 700, np.uint16), np.full((HEIGHT, WIDTH), np.nan, np.float32)):
        assert (whole(write(tmp_path, tiff(constant))) == 0).all()
    sparse = np.zeros((HEIGHT, WIDTH), np.uint16)
    sparse[10, 10] = 4000
    assert whole(write(tmp_path, tiff(sparse)))[10, 10].tolist() == [255, 255, 255]


def test_nodata_does_not_count(tmp_path, photo):
    values = photo[..., 0].astype(np.int16)
    values[:40] = -9999
    with rasterio.open(tmp_path / "n.tif", "w", driver="GTiff", width=WIDTH, height=HEIGHT, count=1, dtype="int16", nodata=-9999) as file:
        file.write(values, 1)
    assert np.abs(whole(tmp_path / "n.tif")[40:, :, 0] - percentile_reference(values[40:])).max() <= 6


@pytest.mark.parametrize("hidden", [{"alpha": "yes", "photometric": "RGB"}, {"nodata": 0}])
def test_margins_without_data_do_not_count(tmp_path, photo, hidden):
    values = np.full((4, HEIGHT, WIDTH), 65535, np.uint16)
    values[:3] = photo.transpose(2, 0, 1).astype(np.uint16) * 30 + 1000
    inside = values[:3, 40:].copy()
    values[:, :40] = 0
    path = geotiff(tmp_path / "m.tif", values if "alpha" in hidden else values[:3], **hidden)
    for band in range(3):
        assert np.abs(whole(path)[40:, :, band] - percentile_reference(inside[band])).max() <= 6


def test_bands_of_a_file(tmp_path, photo):
    stack = np.concatenate([photo, photo[..., ::-1] // 2, photo[..., :2] // 3], axis=2)
    path = write(tmp_path, tiff(stack.transpose(2, 0, 1), photometric="minisblack", planarconfig="separate"))
    assert (whole(path) == stack[..., :3]).all()
    assert (whole(path, (6, 1, 8)) == stack[..., [5, 0, 7]]).all()
    assert (whole(path, (2, 2, 2)) == stack[..., [1, 1, 1]]).all()
    with pytest.raises(UserError, match=r"has no readable band 9 \(bands: 8\)"):
        whole(path, (1, 2, 9))


C = ColorInterp


@pytest.mark.parametrize(
    ("types", "meanings", "chosen"),
    [
        (["uint8"] * 3, [C.blue, C.green, C.red], [3, 2, 1]),
        (["uint8"] * 4, [C.undefined, C.red, C.green, C.blue], [2, 3, 4]),
        (["uint8"] * 4, [C.alpha, C.gray, C.undefined, C.undefined], [2, 3, 4]),
        (["uint8"] * 2, [C.gray, C.alpha], [1]),
        (["uint8"] * 2, [C.gray, C.undefined], [1]),
        (["complex64", "float32"], [C.gray, C.undefined], [2]),
    ],
)
def test_choice_of_bands(tmp_path, types, meanings, chosen):
    assert choose_bands(types, meanings, None, tmp_path) == chosen


def test_georeference_and_size(tmp_path, photo):
    transform = from_origin(500000, 4600000, 0.5, 0.5)
    path = tmp_path / "geo.tif"
    with rasterio.open(path, "w", driver="GTiff", width=WIDTH, height=HEIGHT, count=3, dtype="uint8", crs="EPSG:32631", transform=transform) as file:
        file.write(photo.transpose(2, 0, 1))
    with open_image(path) as image:
        assert (image.width, image.height, image.bands) == (WIDTH, HEIGHT, 3)
        assert image.transform == [0.5, 0, 500000, 0, -0.5, 4600000]
        assert rasterio.crs.CRS.from_wkt(image.crs).to_epsg() == 32631
    with open_image(write(tmp_path, encoded(photo, format="PNG"))) as image:
        assert (image.crs, image.transform) == (None, None)


def test_files_beside_the_image_change_nothing(tmp_path, photo):
    path = write(tmp_path, encoded(photo, format="PNG"), "P1.png")
    (tmp_path / "P1.pgw").write_text("1\n0\n0\n-1\n5\n5\n")
    with open_image(path) as image:
        assert image.transform is None


@pytest.mark.filterwarnings("error")
def test_reading_is_silent(tmp_path, photo, caplog, capfd):
    path = write(tmp_path, encoded(photo, format="PNG"))
    caplog.set_level(logging.DEBUG, "mutdet")
    whole(path)
    with pytest.raises(UserError):
        whole(write(tmp_path, path.read_bytes()[:-300]))
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_orientation_is_noted_and_pixels_stay_as_stored(tmp_path, photo, form, caplog):
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "a camera"
    path = write(tmp_path, encoded(photo, format=form, **({"tiffinfo": {0x0112: 6}} if form == "TIFF" else {"exif": exif})))
    assert read_orientation(path) == 6
    assert whole(path).shape == (HEIGHT, WIDTH, 3)
    assert warn_of_orientation(path)
    assert "EXIF orientation 6 is not applied" in caplog.text
    upright = write(tmp_path, encoded(photo, format=form))
    assert not warn_of_orientation(upright)


def test_orientation_of_any_bytes_is_a_number(tmp_path):
    random = np.random.default_rng(0)
    for start in (b"II*\0", b"MM\0*", b"\xff\xd8\xff\xe1", b"\x89PNG\r\n\x1a\n", b""):
        for size in (0, 3, 9, 200):
            assert 1 <= read_orientation(write(tmp_path, start + random.bytes(size))) <= 8
