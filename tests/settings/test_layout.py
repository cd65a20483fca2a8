"""Which files a shard is cut from."""

from pathlib import Path

import pytest
import yaml

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


def test_a_training_of_several_processes_starts_with_torchrun():
    config = yaml.safe_load((Path(__file__).parents[2] / "config/config.yaml").read_text())
    small = {**config["pretrain"]["mutdet"], "batch": 8}
    spreads = {"one": small, "two": {**small, "processes": 2, "threads": 3}, "spread": {**small, "processes": 4, "nodes": 2}}
    config["pretrain"].update(spreads)
    config["finetune"]["untouched"] = {"pretrain": "two", "epochs": 0, "processes": 2, "batch": 2}
    found = Layout(parse_config({**config, "runtime": {"device": "cuda"}}))
    assert found.launcher("pretrain", "one") == "mutdet"
    assert found.launcher("pretrain", "two") == "torchrun --standalone --nproc-per-node 2 -m -- mutdet"
    assert found.launcher("pretrain", "spread").startswith("srun --ntasks 2 --ntasks-per-node 1 torchrun --nnodes 2 --nproc-per-node 2 ")
    assert found.launcher("finetune", "untouched") == "mutdet"
    assert [found.gpus("pretrain", name) for name in (*spreads, "none")] == [1, 2, 4, 0]
    assert found.gpus("finetune", "untouched") == 0
    assert found.threads("pretrain", "two") == 6
