"""Which files a shard is cut from."""

from pathlib import Path

import pytest

from mutdet.settings.config import parse_config
from mutdet.settings.datasets import select_images
from mutdet.settings.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    splits = {"train": [f"image{number}" for number in range(30)], "val": [f"image{number}" for number in range(30, 40)]}
    for folder, suffix in (("images", "png"), ("labels", "txt")):
        (tmp_path / folder).mkdir()
        for name in [*splits["train"], *splits["val"]]:
            (tmp_path / folder / f"{name}.{suffix}").touch()
    dataset = {"images": tmp_path / "images", "labels": tmp_path / "labels", "splits": splits}
    return Layout(parse_config({"run": "run", "shards": 4, "datasets": {"set": dataset}}))


@pytest.mark.parametrize("split", ["unlabelled", "train", "val"])
def test_a_shard_is_cut_from_the_images_that_its_stage_will_choose(layout, split):
    for number, shard in enumerate(layout.shards):
        chosen = select_images(layout.sources("set"), split, number, len(layout.shards))
        files = layout.source_files("set", split, shard)
        assert files["images"] == [image.path for image in chosen]
        assert files["labels"] == ([] if split == "unlabelled" else [image.label for image in chosen])


def test_an_unlabelled_shard_reads_no_label_and_an_empty_one_nothing(layout):
    assert all(layout.source_files("set", "unlabelled", shard)["labels"] == [] for shard in layout.shards)
    assert layout.source_files("set", "test", layout.shards[0]) == {"images": [], "labels": []}
