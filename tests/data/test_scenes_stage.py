"""The stage `scenes`: files, independence of the number of images, text of the labels."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from mutdet.data.scenes.draw import draw_scene
from mutdet.settings.base import Runtime
from mutdet.settings.scenes import IMAGE_ID, ScenesFiles, ScenesSettings
from mutdet.settings.seeds import generator_for
from mutdet.stages.scenes import run


def draw(folder: Path, **settings: int) -> dict[str, bytes]:
    run(ScenesFiles(output=folder), ScenesSettings(size=96, **settings), Runtime())
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_files_and_lists(tmp_path: Path) -> None:
    files = draw(tmp_path, train=2, val=1)
    ids = ScenesSettings(train=2, val=1).image_ids()
    assert files["train.txt"].decode().split() == ids["train"]
    assert files["val.txt"].decode().split() == ids["val"]
    assert set(files) == {"train.txt", "val.txt"} | {name for i in ids["train"] + ids["val"] for name in (f"images/{i}.png", f"labelTxt/{i}.txt")}


def test_number_of_images_changes_none(tmp_path: Path) -> None:
    few, many = draw(tmp_path / "few", train=1, val=1), draw(tmp_path / "many", train=3, val=2)
    shared = [name for name in few if name.startswith(("images", "labelTxt"))]
    assert all(few[name] == many[name] for name in shared)
    assert len({content for name, content in many.items() if name.startswith("images")}) == 5


def test_the_folder_holds_what_the_settings_ask_for(tmp_path: Path) -> None:
    many, few = draw(tmp_path / "scenes", train=3, val=2), draw(tmp_path / "scenes", train=1, val=0)
    assert few == draw(tmp_path / "new", train=1, val=0)
    assert len(many) == 12


def test_files_of_other_names_stay(tmp_path: Path) -> None:
    draw(tmp_path, train=2, val=0)
    names = [
        "images/mine.png",
        "images/scene_train_00001.tif",
        "images/scene_train_1.png",
        "images/scene_test_00001.png",
        "labelTxt/notes.txt",
        "scene_train_00009.txt",
    ]
    for name in names:
        (tmp_path / name).write_bytes(b"mine")
    assert {name for name, content in draw(tmp_path, train=1, val=0).items() if content == b"mine"} == set(names)


def test_every_name_is_one_that_the_stage_knows_as_its_own() -> None:
    ids = ScenesSettings(train=100_000, val=1).image_ids()
    assert all(IMAGE_ID.fullmatch(name) for name in (ids["train"][0], ids["train"][-1], ids["val"][0]))


def test_seed_changes_images(tmp_path: Path) -> None:
    name = "images/scene_train_00000.png"
    assert draw(tmp_path / "0", train=1, val=0)[name] != draw(tmp_path / "1", train=1, val=0, seed=1)[name]


def test_text_and_pixels_match_the_scene(tmp_path: Path) -> None:
    settings = ScenesSettings(size=192, train=1, val=0, seed=4)
    run(ScenesFiles(output=tmp_path), settings, Runtime())
    image_id = settings.image_ids()["train"][0]
    scene = draw_scene(settings, generator_for(4, "scenes", image_id))
    stored = cv2.cvtColor(cv2.imread(str(tmp_path / "images" / f"{image_id}.png")), cv2.COLOR_BGR2RGB)
    assert np.array_equal(stored, scene.image)
    source, distance, *rows = (tmp_path / "labelTxt" / f"{image_id}.txt").read_text().splitlines()
    assert source == "imagesource:procedural"
    assert float(distance.removeprefix("gsd:")) == pytest.approx(scene.gsd, abs=1e-4)
    assert len(rows) == len(scene.categories) > 0
    for row, polygon, category, difficulty in zip(rows, scene.polygons, scene.categories, scene.difficulties, strict=True):
        *numbers, name, hardness = row.split()
        assert np.allclose(np.array(numbers, float).reshape(4, 2), polygon, atol=0.006)
        assert (name, int(hardness)) == (category, difficulty)


def test_settings_refuse_a_reversed_range() -> None:
    with pytest.raises(ValidationError, match="smallest distance comes first"):
        ScenesSettings(gsd_range=(0.5, 0.2))
