"""A whole step of MutDet's pre-training and of fine-tuning: plain PyTorch in float32, ours in float32, in bfloat16, and in bfloat16 with `compile`.

Plain means: sampling by grid_sample at places found pair by pair, images and weights channels first, AdamW parameter by parameter,
freed memory given back, a frozen backbone that looks at every image anew.
On a CPU, ours remembers the frozen features of the batch, as a training does after its first passes over a small data set.
On a GPU, at the paper's size: `python benchmarks/training_step.py --device cuda --backbone resnet50 --side 1024 --tiles 2 --layers 6 --width 256 --objects 50`.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from unittest.mock import patch

import torch
from measuring import best, machine, measure
from torch import Tensor, nn
from torch.nn.functional import normalize

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.detectors.types import Targets
from mutdet.embedding.freed_memory import keep_freed_memory
from mutdet.nn.deformable_attention import Placement
from mutdet.nn.feature_levels import FeatureLevels
from mutdet.nn.level_sampling.plain import sample_levels_plain
from mutdet.pretraining.mutdet import MutDet
from mutdet.settings.detectors import DetectorSettings
from mutdet.settings.pretraining.mutdet import MutdetPretrainSettings
from mutdet.training.optimiser import make_optimiser
from mutdet.training.supervised import SupervisedLoss
from mutdet.training.tile_dataset import Batch

CLASSES, REPEATS = 64, 5
METHODS = ("mutdet", "fine-tuning")
Losses = Callable[[Batch, list[torch.Generator]], Mapping[str, Tensor]]


@dataclass(frozen=True)
class Side:
    """One way to run the step."""

    name: str
    plain: bool = False
    half: bool = False
    compiled: bool = False


SIDES = [Side("plain float32", plain=True), Side("ours, float32"), Side("ours, bfloat16", half=True), Side("ours, compiled", half=True, compiled=True)]


def random_batch(given: argparse.Namespace) -> Batch:
    torch.manual_seed(0)
    targets = []
    for _ in range(given.tiles):
        boxes = torch.rand(given.objects, 5) * torch.tensor([given.side, given.side, 30.0, 6.0, 3.0]) + torch.tensor([0.0, 0.0, 12.0, 6.0, -1.5])
        targets.append(Targets(boxes, torch.randint(0, CLASSES, (given.objects,)), normalize(torch.randn(given.objects, given.width), dim=-1)))
    sizes = torch.full((given.tiles, 2), given.side)
    return Batch(torch.randn(given.tiles, 3, given.side, given.side), sizes, targets, [f"t{n}" for n in range(given.tiles)]).to(given.device)


def model_and_losses(method: str, compiled: bool, given: argparse.Namespace) -> tuple[nn.Module, Losses]:
    settings = DetectorSettings(
        backbone=given.backbone,
        width=given.width,
        encoder_layers=given.layers,
        decoder_layers=given.layers,
        queries=given.queries,
        dropout=0.0,
    )
    detector = ArsDetr(settings, CLASSES)
    if compiled:
        detector.compile_fixed_shapes()
    if method == "fine-tuning":
        detector.train_backbone("upper")
        return detector.to(given.device).train(), SupervisedLoss(detector)
    model = MutDet(detector, MutdetPretrainSettings(architecture=settings, iterations=1)).to(given.device).train()
    return model, lambda batch, generators: model.losses(batch.images, batch.sizes, batch.targets, generators)


def step(method: str, side: Side, given: argparse.Namespace) -> tuple[float, float, float]:
    """Seconds of a step, peak megabytes on the card, and the share of the time in which the card computes."""
    torch.set_num_threads(given.threads)
    model, losses = model_and_losses(method, side.compiled, given)
    batch = random_batch(given)
    if side.plain:
        optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, foreach=False)
    else:
        keep_freed_memory()
        model.to(memory_format=torch.channels_last)
        optimiser = make_optimiser(model, [], MutdetPretrainSettings(architecture=DetectorSettings(), iterations=1))

    def call() -> None:
        optimiser.zero_grad(set_to_none=True)
        generators = [torch.Generator().manual_seed(image) for image in range(given.tiles)]
        with torch.autocast(given.device, torch.bfloat16, enabled=side.half):
            named = losses(batch, generators)
        torch.stack(list(named.values())).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 35.0)
        optimiser.step()

    with plain_pytorch() if side.plain else nullcontext():
        call()
        seconds = best(call, given.device, REPEATS)
        return (seconds, torch.cuda.max_memory_allocated() / 2**20, busy_share(call)) if given.device == "cuda" else (seconds, 0.0, 0.0)


def pair_by_pair(levels: FeatureLevels) -> Placement:
    centres = levels.centres()[:, :, None] * levels.valid_ratios[:, None]
    cells = centres.new_tensor(levels.shapes).flip(-1)
    return lambda offsets: centres[:, :, None, :, None] + offsets / cells[:, None]


@contextmanager
def plain_pytorch() -> Iterator[None]:
    sampling = patch("mutdet.nn.level_sampling.choice.sampling_on", lambda device: sample_levels_plain)
    features = patch("mutdet.nn.feature_memory.FeatureMemory.features", lambda memory, backbone, images: backbone(images))
    places = patch("mutdet.nn.encoder.around_cells", pair_by_pair)
    with sampling, features, places:
        yield


def busy_share(call: Callable[[], None]) -> float:
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    return sum(event.self_device_time_total for event in profile.key_averages()) / 1e6 / seconds


def parser_of_sizes(description: str | None, side: int) -> argparse.ArgumentParser:
    """Options that say how large a step is: network, tiles, objects."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=3, help="of the encoder, and of the decoder")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--tiles", type=int, default=4, help="in a batch")
    parser.add_argument("--objects", type=int, default=12, help="on a tile")
    parser.add_argument("--side", type=int, default=side, help="of a tile as the detector sees it")
    return parser


def main() -> None:
    parser = parser_of_sizes(__doc__, side=256)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    where = torch.cuda.get_device_name() if given.device == "cuda" else f"{given.threads} thread(s)"
    print(f"{machine()}; {where}; torch {torch.__version__}; best of {REPEATS}")
    print(
        f"{given.backbone}, {given.layers} + {given.layers} layers of width {given.width}, {given.tiles} tiles of {given.side} px, {given.objects} objects each"
    )
    for method in METHODS:
        first = 0.0
        for side in SIDES:
            taken = measure(step, method, side, given)
            seconds, megabytes, busy = taken.value
            first = first or seconds
            memory = f"{megabytes:6.0f} MB on the card, busy {busy:.0%}" if given.device == "cuda" else f"{taken.megabytes - taken.start_megabytes:6.0f} MB"
            print(f"{method:12s} {side.name:16s} {seconds:7.3f} s a step {given.tiles / seconds:7.2f} images a second {memory} {first / seconds:5.2f} x")


if __name__ == "__main__":
    main()
