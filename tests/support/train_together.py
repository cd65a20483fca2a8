"""Trains every pre-training method and the plain detector for some steps in float64, alone or as one of several processes; writes the weights.

RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500 python train_together.py OUTPUT PROCESSES TABLES...
"""

import sys
from pathlib import Path

import numpy as np
import torch
from drawn_tables import TINY
from safetensors.torch import save_file

from mutdet.detectors.types import Targets
from mutdet.nn.ranks import rank, ranks
from mutdet.settings.base import Runtime
from mutdet.settings.registries import DETECTORS, PRETRAINING_METHODS, load
from mutdet.settings.training import TrainingSettings
from mutdet.training.loop import Trainer
from mutdet.training.objects import pack
from mutdet.training.processes import training_device
from mutdet.training.supervised import SupervisedLoss
from mutdet.training.tile_dataset import Batch, TileDataset
from mutdet.training.tile_index import TileIndex

SMALL = {
    "mutdet": {"enhancement_layers": 1, "enhancement_width": 32, "embedding_width": 32, "encoder_distillation": 0.5, "decoder_distillation": 0.5},
    "aligndet": {"projection": 16},
    "detreg": {},
    "updetr": {"patches": 5, "patch_size": 32},
}
OBJECTS = [3, 0, 1, 0, 6, 0, 0, 2]
CLASSES = 5
TRAINING = {"iterations": 3, "batch": 4, "image_size": 96, "threads": 1, "learning_rate": 1e-3, "warmup_iterations": 0, "average": 0.5}


def double(batch: Batch) -> Batch:
    targets = [Targets(t.boxes, t.labels, None if t.embeddings is None else t.embeddings.double()) for t in batch.targets]
    return Batch(batch.images.double(), batch.sizes, targets, batch.tile_ids)


def objects(tiles: int):
    """Some tiles have many objects, some none, so that processes differ in all numbers."""
    random = np.random.default_rng(0)
    tile = np.repeat(np.arange(tiles), OBJECTS[:tiles])
    boxes = np.column_stack([random.uniform(20, 76, (len(tile), 2)), random.uniform(12, 30, len(tile)), random.uniform(4, 11, len(tile))])
    boxes = np.column_stack([boxes, random.uniform(-1.5, 1.5, len(tile))])
    embeddings = random.normal(size=(len(tile), TINY.width))
    return pack(tiles, tile, boxes, random.integers(0, CLASSES, len(tile)), embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True))


def build(name: str, processes: int):
    torch.manual_seed(0)
    if name == "none":
        detector = load(DETECTORS, "ars_detr")(TINY, CLASSES).double()
        detector.train_backbone("all")
        loss = SupervisedLoss(detector)
        return detector, lambda batch, generators: loss(double(batch), generators), TrainingSettings(**TRAINING, processes=processes), None
    settings = PRETRAINING_METHODS[name].settings_class(architecture=TINY, **TRAINING, **SMALL[name], processes=processes)
    method_class = load(PRETRAINING_METHODS, name)
    method = method_class(load(DETECTORS, "ars_detr")(TINY, len(method_class.categories(CLASSES))), settings).double()

    def losses(batch, generators):
        batch = double(batch)
        return method.losses(batch.images, batch.sizes, batch.targets, generators)

    return method, losses, settings, method.after_step


def main(tables: list[Path], output: Path, processes: int) -> None:
    with training_device(Runtime(device="cpu"), processes):
        assert ranks() == processes
        index = TileIndex.read(tables)
        for name in ["none", *SMALL]:
            model, losses, settings, after_step = build(name, processes)
            dataset = TileDataset(index, objects(len(index)), settings, "together")
            book = Trainer(model, losses, [], dataset, settings, "together", after_step).run(output / "state" / name, "me")
            if rank() == 0:
                weights = {key: value.clone(memory_format=torch.contiguous_format) for key, value in model.state_dict().items()}
                rows = torch.tensor([value for *_, value in book.rows], dtype=torch.float64)
                save_file({"log": rows, **weights}, output / f"{name}.safetensors")


if __name__ == "__main__":
    main([Path(path) for path in sys.argv[3:]], Path(sys.argv[1]), int(sys.argv[2]))
