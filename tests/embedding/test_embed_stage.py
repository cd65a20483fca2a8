"""Embeddings do not depend on how tiles and boxes are cut into shards and batches."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from mutdet.embedding.backbones import build_backbone, load_backbone, save_backbone
from mutdet.embedding.batch_norm import estimate_batch_norm
from mutdet.embedding.rotated_crops import rotated_crops
from mutdet.embedding.tile_images import decode_image, normalised
from mutdet.settings.base import Runtime
from mutdet.settings.embed import EmbedFiles, EmbedSettings
from mutdet.settings.errors import UserError
from mutdet.stages.embed import run
from mutdet.tables.read import read_table
from mutdet.tables.vectors import column_to_vectors

SETTINGS = EmbedSettings(boxes="b", backbone="b", crop=32, enlarge=1.25, batch=4)
KEYS = [(tile, mask) for tile, count in (("A__64__0___0", 3), ("B__64__0___0", 6), ("D__64__0___0", 1)) for mask in range(count)]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    network = build_backbone("resnet18")
    estimate_batch_norm(network, [torch.randn(4, 3, 64, 64)])
    path = tmp_path_factory.mktemp("backbone") / "backbone.safetensors"
    save_backbone(path, network, "random")
    return path


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr("mutdet.embedding.crop_embedder.decode_image", refuse)


def vectors(path: Path) -> np.ndarray:
    return column_to_vectors(read_table(path)["embedding"])


def test_rows_are_the_boxes_and_vectors_those_of_a_plain_loop(write_tiles: Callable, write_boxes: Callable, backbone: Path, tmp_path: Path) -> None:
    tiles = write_tiles("tiles", ["A__64__0___0", "B__64__0___0", "C__64__0___0", "D__64__0___0"])
    files = EmbedFiles(tiles=tiles, boxes=write_boxes("boxes", KEYS), backbone=backbone, output=tmp_path / "out.parquet")
    run(files, SETTINGS, Runtime(device="cpu"))
    table = read_table(files.output)
    assert list(zip(table["tile_id"].to_pylist(), table["mask_id"].to_pylist(), strict=True)) == KEYS
    network, _ = load_backbone(backbone)
    images = {row["tile_id"]: normalised(decode_image(row["image"], "")) for row in read_table(tiles).to_pylist()}
    boxes = read_table(files.boxes).to_pylist()
    for row, found in zip(boxes, vectors(files.output), strict=True):
        box = torch.tensor([[row[name] for name in ("cx", "cy", "w", "h", "angle")]])
        expected = network(rotated_crops(images[row["tile_id"]], box, 32, 1.25)).mean((2, 3))[0].numpy()
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4)


def test_shards_do_not_change_a_bit(write_tiles: Callable, write_boxes: Callable, backbone: Path, tmp_path: Path) -> None:
    def embed(name: str, keys: list[tuple[str, int]]) -> np.ndarray:
        tiles = write_tiles(f"tiles-{name}", sorted({tile for tile, _ in keys}))
        files = EmbedFiles(tiles=tiles, boxes=write_boxes(f"boxes-{name}", keys), backbone=backbone, output=tmp_path / f"{name}.parquet")
        run(files, SETTINGS, Runtime(device="cpu"))
        return vectors(files.output)

    whole = embed("whole", KEYS)
    parts = [embed(f"part{i}", [key for key in KEYS if key[0].startswith(letter)]) for i, letter in enumerate("ABD")]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


@pytest.mark.usefixtures("no_decoding")
def test_images_of_tiles_without_boxes_are_not_decoded(write_tiles: Callable, write_boxes: Callable, backbone: Path, tmp_path: Path) -> None:
    files = EmbedFiles(tiles=write_tiles("tiles", ["A__64__0___0"]), boxes=write_boxes("boxes", []), backbone=backbone, output=tmp_path / "out.parquet")
    run(files, SETTINGS, Runtime(device="cpu"))
    assert vectors(files.output).shape == (0, 512)


def test_box_of_an_unknown_tile_is_refused(write_tiles: Callable, write_boxes: Callable, backbone: Path, tmp_path: Path) -> None:
    files = EmbedFiles(tiles=write_tiles("tiles", ["A__64__0___0"]), boxes=write_boxes("boxes", KEYS), backbone=backbone, output=tmp_path / "out.parquet")
    with pytest.raises(UserError, match="B__64__0___0"):
        run(files, SETTINGS, Runtime(device="cpu"))
    assert not files.output.exists()


def test_vectors_too_large_for_the_table_are_refused(write_tiles: Callable, write_boxes: Callable, tmp_path: Path) -> None:
    network = build_backbone("resnet18")
    network.body.layer4[1].bn2.bias.data.fill_(1e6)
    save_backbone(tmp_path / "b.safetensors", network, "random")
    files = EmbedFiles(
        tiles=write_tiles("tiles", ["A__64__0___0"]),
        boxes=write_boxes("boxes", KEYS[:1]),
        backbone=tmp_path / "b.safetensors",
        output=tmp_path / "out.parquet",
    )
    with pytest.raises(UserError, match="float16"):
        run(files, SETTINGS, Runtime(device="cpu"))
