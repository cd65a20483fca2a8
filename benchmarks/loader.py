"""Tiles a second that the loader of a training gives, and how much longer a step takes with it than with a batch that lies ready.

Each tile comes once, so that nothing is kept from an earlier pass: read from Parquet, decoded, resized, flipped, normalised, batched.
Fine-tuning, whose steps are the shorter ones, in bfloat16.
On a GPU, at the paper's size:
`python benchmarks/loader.py --device cuda --backbone resnet50 --side 1024 --tiles 2 --layers 6 --width 256 --objects 50 --workers 0 2 4 8`.
"""

import argparse
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from measuring import machine
from torch.utils.data import DataLoader
from training_step import CLASSES, model_and_losses, parser_of_sizes

from mutdet.data.scenes.draw import draw_scene
from mutdet.data.tiling import encode_png
from mutdet.embedding.freed_memory import keep_freed_memory
from mutdet.settings.finetune import FinetuneSettings
from mutdet.settings.scenes import ScenesSettings
from mutdet.settings.seeds import generator_for
from mutdet.tables import tiles
from mutdet.tables.write import write_table
from mutdet.training.objects import PackedObjects
from mutdet.training.optimiser import make_optimiser
from mutdet.training.sampling import BatchOrder
from mutdet.training.tile_dataset import Batch, TileDataset, collate
from mutdet.training.tile_index import TileIndex

WINDOW, SCENES, WARM_STEPS = 800, 4, 3


def dataset(folder: Path, given: argparse.Namespace, settings: FinetuneSettings) -> TileDataset:
    """Tiles of procedural scenes with random objects."""
    scenes = [encode_png(draw_scene(ScenesSettings(size=WINDOW), generator_for(0, "loader", str(number))).image) for number in range(SCENES)]
    place = {"dataset": "scenes", "x": 0, "y": 0, "width": WINDOW, "height": WINDOW, "scale": 1.0, "content_fraction": 1.0, "labels": []}
    count = (given.steps + WARM_STEPS) * given.tiles
    rows = [{**place, "tile_id": f"{n:06d}", "image_id": f"{n:06d}", "image": scenes[n % SCENES]} for n in range(count)]
    write_table(folder / "tiles.parquet", rows, tiles.SCHEMA)
    random = np.random.default_rng(0)
    boxes = random.uniform([0, 0, 12, 6, -1.5], [WINDOW, WINDOW, 42, 12, 1.5], (count * given.objects, 5)).astype(np.float32)
    ends = np.arange(1, count + 1) * given.objects
    objects = PackedObjects(boxes, random.integers(0, CLASSES, len(boxes), np.int32), None, ends)
    return TileDataset(TileIndex.read([folder / "tiles.parquet"]), objects, settings, "finetune")


def loader(found: TileDataset, settings: FinetuneSettings, workers: int) -> Iterable[Batch]:
    order = BatchOrder(len(found), settings.batch, len(found) // settings.batch, settings.seed, "finetune")
    return DataLoader(found, batch_sampler=order, collate_fn=collate, num_workers=workers)


def tiles_a_second(batches: Iterable[Batch], given: argparse.Namespace) -> float:
    """Of a loader whose batches nobody uses, its workers started."""
    rest = iter(batches)
    for _ in range(WARM_STEPS):
        next(rest)
    start = time.perf_counter()
    steps = sum(1 for _ in rest)
    return steps * given.tiles / (time.perf_counter() - start)


def seconds_a_step(batches: Iterable[Batch], given: argparse.Namespace, settings: FinetuneSettings) -> float:
    """Of a training on these batches, without its first steps."""
    torch.manual_seed(0)
    model, losses = model_and_losses("fine-tuning", False, given)
    optimiser = make_optimiser(model.to(memory_format=torch.channels_last), [], settings)
    start, steps = 0.0, 0
    for number, batch in enumerate(batches):
        if number == WARM_STEPS:
            _wait(given.device)
            start = time.perf_counter()
        optimiser.zero_grad(set_to_none=True)
        generators = [torch.Generator().manual_seed(image) for image in range(given.tiles)]
        with torch.autocast(given.device, torch.bfloat16):
            named = losses(batch.to(torch.device(given.device)), generators)
        torch.stack(list(named.values())).sum().backward()
        optimiser.step()
        steps = number + 1 - WARM_STEPS
    _wait(given.device)
    return (time.perf_counter() - start) / steps


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = parser_of_sizes(__doc__, side=320)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1])
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    settings = FinetuneSettings(iterations=1, image_size=given.side, batch=given.tiles)
    print(f"{machine()}; torch {torch.__version__}; tiles of {WINDOW} px, seen at {given.side} px, {given.tiles} a batch, {given.steps} steps")
    with tempfile.TemporaryDirectory() as folder:
        ready = [next(iter(loader(dataset(Path(folder), given, settings), settings, 0)))] * (given.steps + WARM_STEPS)
        alone = seconds_a_step(ready, given, settings)
        print(f"batch that lies ready           {alone:7.3f} s a step {given.tiles / alone:7.1f} tiles a second")
        for workers in given.workers:
            found = dataset(Path(folder), given, settings)
            loads = tiles_a_second(loader(found, settings, workers), given)
            seconds = seconds_a_step(loader(dataset(Path(folder), given, settings), settings, workers), given, settings)
            print(f"{workers} workers: loader {loads:7.1f} tiles a second {seconds:7.3f} s a step, {seconds / alone - 1:+.1%}")


if __name__ == "__main__":
    main()
