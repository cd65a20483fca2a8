"""A pre-training step of MutDet on a batch, against the same images one by one (as the released enhancement module takes them) and plain ARS-DETR."""

import argparse
import time

import torch
from measuring import Measurement, machine, measure
from torch.nn.functional import normalize

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.detectors.types import Targets
from mutdet.pretraining.mutdet import MutDet
from mutdet.settings.detectors import DetectorSettings
from mutdet.settings.pretraining.mutdet import MutdetPretrainSettings
from mutdet.training.supervised import SupervisedLoss
from mutdet.training.tile_dataset import Batch

SMALL = DetectorSettings(backbone="resnet18", width=128, feed_forward=512, encoder_layers=3, decoder_layers=3, queries=60, dropout=0.0, denoising_queries=40)
CLASSES = 64


def random_batch(tiles: int, objects: int, side: int, device: torch.device) -> Batch:
    torch.manual_seed(0)
    targets = []
    for _ in range(tiles):
        boxes = torch.rand(objects, 5) * torch.tensor([side, side, 30.0, 6.0, 3.0]) + torch.tensor([0.0, 0.0, 12.0, 6.0, -1.5])
        targets.append(Targets(boxes, torch.randint(0, CLASSES, (objects,)), normalize(torch.randn(objects, SMALL.width), dim=-1)))
    return Batch(torch.randn(tiles, 3, side, side), torch.full((tiles, 2), side), targets).to(device)


def split(batch: Batch) -> list[Batch]:
    return [Batch(batch.images[i : i + 1], batch.sizes[i : i + 1], batch.targets[i : i + 1]) for i in range(len(batch.targets))]


def seconds(method: str, batches: list[Batch], steps: int) -> float:
    """Mean wall time of forward and backward pass over all batches, the first step left out."""
    detector = ArsDetr(SMALL, CLASSES)
    if method == "mutdet":
        model = MutDet(detector, MutdetPretrainSettings(architecture=SMALL, iterations=1)).to(batches[0].images.device).train()

        def losses(batch: Batch) -> dict[str, torch.Tensor]:
            return dict(model.losses(batch.images, batch.sizes, batch.targets, torch.Generator().manual_seed(0)))
    else:
        detector.train_backbone("all")
        supervised = SupervisedLoss(detector.to(batches[0].images.device).train())

        def losses(batch: Batch) -> dict[str, torch.Tensor]:
            return dict(supervised(batch, torch.Generator().manual_seed(0)))

    start = 0.0
    for step in range(steps + 1):
        if step == 1:
            start = time.perf_counter()
        for batch in batches:
            torch.stack(list(losses(batch).values())).sum().backward()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps


def run(method: str, one_by_one: bool, tiles: int, objects: int, side: int, steps: int, threads: int) -> float:
    torch.set_num_threads(threads)
    batch = random_batch(tiles, objects, side, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    return seconds(method, split(batch) if one_by_one else [batch], steps)


def show(name: str, measured: Measurement) -> None:
    print(f"{name:44s} {measured.value:6.2f} s a step {measured.megabytes:7.0f} MB peak ({measured.start_megabytes:.0f} MB before)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=4)
    parser.add_argument("--objects", type=int, default=12)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    size = (arguments.tiles, arguments.objects, arguments.side, arguments.steps, arguments.threads)
    print(machine(), "with CUDA" if torch.cuda.is_available() else f"CPU, {arguments.threads} threads")
    print(f"ResNet-18, 3 + 3 layers of width 128, {arguments.tiles} tiles of {arguments.side} px, {arguments.objects} objects each")
    batched, single, plain = measure(run, "mutdet", False, *size), measure(run, "mutdet", True, *size), measure(run, "supervised", False, *size)
    show("MutDet, frozen backbone, whole batch", batched)
    show("MutDet, frozen backbone, image by image", single)
    show("ARS-DETR, whole backbone trains", plain)
    print(f"ratio: image by image takes {single.value / batched.value:.2f} x the time of the batch, plain training {plain.value / batched.value:.2f} x")
