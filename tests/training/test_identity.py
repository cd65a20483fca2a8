"""A training goes on from the state of the same training alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_tables import TINY, draw_tables

from mutdet.data.tiling import encode_png
from mutdet.embedding.tile_images import decode_image
from mutdet.settings.base import Runtime
from mutdet.settings.finetune import FinetuneFiles, FinetuneSettings
from mutdet.settings.pretrain import PretrainFiles, PretrainSettings
from mutdet.settings.registries import PRETRAINING_METHODS
from mutdet.stages import finetune, pretrain
from mutdet.tables import tiles
from mutdet.tables.read import read_table
from mutdet.tables.write import write_table
from mutdet.training.identity import training_identity
from mutdet.training.objects import PackedObjects, no_objects, pack
from mutdet.training.tile_index import TileIndex

LENGTH = {"iterations": 1, "batch": 2, "image_size": 96, "threads": 1}
SETTINGS = FinetuneSettings(**LENGTH)
CPU = Runtime(device="cpu")


def inverted(path: Path, count: int | None = None) -> Path:
    """Table with the same tiles, the pixels of the first so many of them turned round."""
    rows = read_table(path).to_pylist()
    for row in rows[:count]:
        row["image"] = encode_png(255 - decode_image(row["image"], row["tile_id"]))
    write_table(path.with_name(f"inverted-{count}.parquet"), rows, tiles.SCHEMA, rows_per_group=tiles.ROWS_PER_GROUP)
    return path.with_name(f"inverted-{count}.parquet")


def identity(
    paths: list[Path],
    kept: int | None = None,
    categories: tuple[str, ...] = ("car",),
    settings: FinetuneSettings = SETTINGS,
    objects: PackedObjects | None = None,
    weights: Sequence[Path] = (),
) -> str:
    index = TileIndex.read(paths)
    index = index.keep([kept is None or number < kept for number in range(len(index))])
    return training_identity(settings, index, objects or no_objects(len(index)), categories, weights)


def test_pixels_classes_and_settings_count(tmp_path: Path) -> None:
    [path] = draw_tables(tmp_path, 5).tiles
    known = identity([path])
    assert known != identity([inverted(path, 1)])
    assert known != identity([path], categories=("car", "plane"))
    assert known != identity([path], settings=SETTINGS.model_copy(update={"seed": 1}))
    assert known == identity([path], settings=SETTINGS.model_copy(update={"checkpoint_minutes": 77.0}))


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    [path] = draw_tables(tmp_path_factory.mktemp("drawn"), 3).tiles
    return path


@pytest.mark.parametrize("name", ["boxes", "labels", "embeddings", "ends"])
def test_every_number_of_the_objects_counts(table: Path, name: str) -> None:
    tile, random = np.array([0, 0, 2]), np.random.default_rng(0)
    objects = pack(3, tile, random.uniform(10, 80, (3, 5)), random.integers(0, 4, 3), random.normal(size=(3, 8)))
    assert identity([table], objects=objects) == identity([table], objects=replace(objects))
    array = getattr(objects, name).copy()
    array.flat[array.size // 2] += 1
    assert identity([table], objects=objects) != identity([table], objects=replace(objects, **{name: array}))


def test_every_byte_of_the_initial_weights_counts(table: Path, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("backbone.safetensors", "detector.safetensors")]
    for path in paths:
        path.write_bytes(bytes(range(100)))
    known = identity([table], weights=paths)
    assert known == identity([table], weights=paths)
    for path in paths:
        path.write_bytes(bytes(range(99)) + b"!")
        assert known != identity([table], weights=paths)
        path.write_bytes(bytes(range(100)))


def test_neither_shards_nor_tiles_that_are_not_used_count(tmp_path: Path) -> None:
    (tmp_path / "cut").mkdir()
    [whole], cut = draw_tables(tmp_path, 5).tiles, draw_tables(tmp_path / "cut", 5, shards=3).tiles
    assert identity([whole]) == identity(cut[::-1])
    rows = read_table(whole).to_pylist()
    write_table(tmp_path / "four.parquet", rows[:4], tiles.SCHEMA)
    assert identity([whole], kept=4) == identity([tmp_path / "four.parquet"])


@pytest.fixture
def tune(tmp_path: Path) -> Callable[[Path, str], bytes]:
    """Weights of a fine-tuning on a table of tiles, with a state folder of some name."""
    drawn = draw_tables(tmp_path, 4)
    untrained = tmp_path / "untrained.safetensors"
    start: PretrainSettings = PRETRAINING_METHODS["none"].settings_class(architecture=TINY)
    pretrain.run(PretrainFiles(backbone=drawn.backbone, output=untrained, log=tmp_path / "l.parquet", state=tmp_path / "s"), start, CPU)

    def run(table: Path, state: str) -> bytes:
        output = tmp_path / "tuned.safetensors"
        given = {"images": drawn.images, "labels": drawn.labels, "detector": untrained, "output": output, "log": tmp_path / "log.parquet"}
        finetune.run(FinetuneFiles(tiles=[table], state=tmp_path / state, **given), SETTINGS, CPU)
        return output.read_bytes()

    return run


def test_weights_of_other_pixels_are_not_taken_for_those_of_these(tune: Callable[[Path, str], bytes], tmp_path: Path) -> None:
    path = tmp_path / "tiles0.parquet"
    first, again = tune(path, "state"), tune(path, "state")
    other, fresh = tune(inverted(path), "state"), tune(inverted(path), "fresh")
    assert first == again
    assert other == fresh != first
