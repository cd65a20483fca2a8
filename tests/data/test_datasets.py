"""Lists of images, splits and shards."""

import os

import pytest

from mutdet.settings.datasets import (
    DatasetSettings,
    PartitionTilesFiles,
    check_labels,
    check_unique_ids,
    labelled_splits,
    list_images,
    list_scenes,
    select_images,
    shard_name,
    shard_of,
)
from mutdet.settings.errors import UserError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    for name in ("a.png", "b__800__0___0.jpg", "c.TIF", "._c.TIF", "notes.md"):
        (tmp_path / "images" / name).touch()
    for name in ("a", "b__800__0___0", "c"):
        (tmp_path / "labels" / f"{name}.txt").touch()
    return tmp_path


def dataset(folder, **values):
    return DatasetSettings(images=folder / "images", **values)


def labelled(folder, **splits):
    return dataset(folder, labels=folder / "labels", splits=splits)


def test_a_folder_of_images_needs_nothing_else(folder):
    found = list_images(dataset(folder), "mine")
    assert [image.image_id for image in found] == ["a", "b__800__0___0", "c"]
    assert {image.splits for image in found} == {("unlabelled",)}
    assert {image.label for image in found} == {None}
    assert found[2].path == folder / "images" / "c.TIF"


def test_lists_take_ids_and_file_names(folder):
    (folder / "train.txt").write_bytes(b"\xef\xbb\xbfa\r\n\r\n  images/c.TIF \r\n")
    settings = labelled(folder, train=folder / "train.txt", val=["b__800__0___0.jpg"])
    found = list_images(settings, "mine")
    assert [image.splits for image in found] == [("train", "unlabelled"), ("val",), ("train", "unlabelled")]
    assert [image.label.name for image in found] == ["a.txt", "b__800__0___0.txt", "c.txt"]
    assert settings.split_names() == ["unlabelled", "train", "val"]


def test_unlabelled_images_have_no_label_file(folder):
    found = list_images(labelled(folder, unlabelled="all", train=["a"]), "mine")
    assert [image.label is None for image in found] == [False, True, True]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a\nz\n", ["train.txt: line 2", "'z' does not exist"]),
        (b"a\nc\na.png\n", ["line 3", "listed twice"]),
        (b"\xff\xfea", ["no readable list"]),
        (b"\n", ["train.txt: names no image"]),
    ],
)
def test_bad_lists_are_told(folder, content, words):
    (folder / "train.txt").write_bytes(content)
    with pytest.raises(UserError) as told:
        list_images(labelled(folder, train=folder / "train.txt"), "mine")
    assert all(word in str(told.value) for word in words)
    assert "\n" not in str(told.value)


def test_missing_list_is_told(folder):
    with pytest.raises(UserError, match=r"gone\.txt: is no readable list"):
        list_images(labelled(folder, train=folder / "gone.txt"), "mine")


def test_two_images_with_one_id_are_told(folder):
    (folder / "images" / "a.jpg").touch()
    with pytest.raises(UserError, match=r"a\.png: has the id of a\.jpg"):
        list_images(dataset(folder), "mine")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (b"a{1}.png", r"images/a\{1\}\.png: has a brace in its name, which Snakemake takes for a wildcard; rename it"),
        (b"a}.png", r"images/a\}\.png: has a brace"),
        (b"caf\xe9.png", r"images/caf\\udce9\.png: has a name that is no UTF-8; rename it"),
    ],
)
def test_names_that_the_workflow_cannot_use_are_told(folder, name, told):
    (folder / "images" / os.fsdecode(name)).touch()
    with pytest.raises(UserError, match=told) as error:
        list_images(dataset(folder), "mine")
    str(error.value).encode()


def test_images_of_no_split_and_other_files_may_have_any_name(folder):
    for name in (b"a{1}.png", b"caf\xe9.png", b"{.md", "über 船 🚢 [1].png".encode()):
        (folder / "images" / os.fsdecode(name)).touch()
    (folder / "labels" / "{}.txt").touch()
    assert [image.image_id for image in list_images(labelled(folder, train=["a", "über 船 🚢 [1]"]), "mine")] == ["a", "über 船 🚢 [1]"]


def test_no_images_are_told(tmp_path):
    with pytest.raises(UserError, match="folder does not exist"):
        list_images(dataset(tmp_path), "mine")
    (tmp_path / "images").mkdir()
    with pytest.raises(UserError, match="holds no images"):
        list_images(dataset(tmp_path), "mine")


def test_missing_labels_are_told_but_listing_works(folder):
    (folder / "labels" / "c.txt").unlink()
    settings = labelled(folder, train="all")
    found = list_images(settings, "mine")
    with pytest.raises(UserError, match=r"image c: label file c\.txt is missing"):
        check_labels(settings, found)
    check_labels(settings.model_copy(update={"on_error": "skip"}), found)


def test_test_split_may_be_unlabelled_but_not_half(folder):
    settings = labelled(folder, test="all")
    assert labelled_splits(list_images(settings, "mine")) == {"train", "val", "test"}
    (folder / "labels" / "a.txt").unlink()
    with pytest.raises(UserError, match=r"label file a\.txt is missing"):
        check_labels(settings, list_images(settings, "mine"))
    for path in (folder / "labels").iterdir():
        path.unlink()
    assert labelled_splits(list_images(settings, "mine")) == {"train", "val"}
    check_labels(settings, list_images(settings, "mine"))


def test_ids_are_unique_across_data_sets(folder):
    first = list_images(dataset(folder), "one")
    check_unique_ids({"one": first})
    with pytest.raises(UserError, match="datasets one and two"):
        check_unique_ids({"one": first, "two": first[2:]})


def test_scenes_are_listed_before_they_are_drawn(folder):
    drawn = folder / "scenes"
    ids = {"train": ["s1", "s2"], "val": ["v1"]}
    early = list_scenes(drawn, ids)
    for kind, suffix in (("images", "png"), ("labelTxt", "txt")):
        (drawn / kind).mkdir(parents=True)
        for name in ("s1", "s2", "v1"):
            (drawn / kind / f"{name}.{suffix}").touch()
    for split, names in ids.items():
        (drawn / f"{split}.txt").write_text("\n".join(names))
    settings = DatasetSettings(scenes="demo", window=256, stride=200).of_scenes(drawn, ids)
    assert settings.window == 256
    assert list_images(settings, "demo") == early


def test_shards_are_stable_and_balanced(folder):
    assert [shard_of(name, 4) for name in ("P0001", "P0002", "a__b")] == [3, 3, 0]
    counts = [0] * 16
    for number in range(16000):
        counts[shard_of(f"P{number:05d}", 16)] += 1
    assert min(counts) > 850
    assert max(counts) < 1150
    found = list_images(dataset(folder), "mine")
    parts = [select_images(found, "unlabelled", shard, 3) for shard in range(3)]
    assert sorted((image for part in parts for image in part), key=lambda image: image.image_id) == found
    assert [shard_name(0, 4), shard_name(15, 16), shard_name(7, 128)] == ["00-of-04", "15-of-16", "007-of-128"]


def test_shard_beyond_the_last_is_refused(tmp_path):
    with pytest.raises(ValueError, match="shard 4 does not exist"):
        PartitionTilesFiles(name="a", split="train", shard=4, shards=4, output=tmp_path / "t.parquet")


def test_no_image_is_opened(folder, monkeypatch):
    monkeypatch.setattr("builtins.open", None)
    monkeypatch.setattr("pathlib.Path.open", None)
    assert len(list_images(dataset(folder), "mine")) == 3
