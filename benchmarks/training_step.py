"""A training step of small detectors, and deformable attention against the common way to write it and a gather of corners.

`--device cuda` measures on a graphics card. Memory is the process's peak, or the card's with CUDA.
"""

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from measuring import machine, measure
from torch import Tensor

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.detectors.types import Targets
from mutdet.nn.level_sampling.choice import sample_levels
from mutdet.nn.level_sampling.plain import sample_levels_plain
from mutdet.settings.detectors import DetectorSettings

SIDE = 256
SHAPES = tuple((SIDE // stride, SIDE // stride) for stride in (8, 16, 32, 64))
BATCH, HEADS, CHANNELS, POINTS, OBJECTS = 4, 8, 32, 4, 20
REPEATS = 5
DETECTORS = {
    "ResNet-18, width 128, 2 + 2 layers": DetectorSettings(
        backbone="resnet18", width=128, feed_forward=512, encoder_layers=2, decoder_layers=2, queries=60, denoising_queries=40
    ),
    "ResNet-18, width 256, 3 + 3 layers": DetectorSettings(backbone="resnet18", encoder_layers=3, decoder_layers=3, queries=100, denoising_queries=40),
}


def stacked_samples(values: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    """The common way: all samples of all levels side by side, then one weighted sum."""
    batch, _, heads, channels = values.shape
    queries = locations.shape[1]
    samples = []
    for level, part in enumerate(values.split([rows * columns for rows, columns in SHAPES], dim=1)):
        grid = part.flatten(2).transpose(1, 2).reshape(batch * heads, channels, *SHAPES[level])
        places = (2 * locations - 1)[:, :, :, level].transpose(1, 2).flatten(0, 1)
        samples.append(F.grid_sample(grid, places, align_corners=False))
    shares = weights.transpose(1, 2).reshape(batch * heads, 1, queries, -1)
    return (torch.stack(samples, dim=-2).flatten(-2) * shares).sum(-1).view(batch, heads * channels, queries).transpose(1, 2).contiguous()


def gathered_corners(values: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    """The naive way: fetch the four corners of every sample, then weigh them."""
    batch, _, heads, channels = values.shape
    total = values.new_zeros(batch, locations.shape[1], heads, channels)
    start = 0
    image, head = torch.arange(batch, device=values.device)[:, None, None, None], torch.arange(heads, device=values.device)[:, None]
    for level, (rows, columns) in enumerate(SHAPES):
        x, y = (locations[:, :, :, level] * locations.new_tensor([columns, rows]) - 0.5).unbind(-1)
        for column in (x.floor(), x.floor() + 1):
            for row in (y.floor(), y.floor() + 1):
                inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
                share = (1 - (x - column).abs()) * (1 - (y - row).abs()) * inside * weights[:, :, :, level]
                token = start + row.clamp(0, rows - 1).long() * columns + column.clamp(0, columns - 1).long()
                total = total + (values[image, token, head] * share[..., None]).sum(3)
        start += rows * columns
    return total.flatten(2)


def ours(values: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    return sample_levels(values, SHAPES, locations, weights)


def plain(values: Tensor, locations: Tensor, weights: Tensor) -> Tensor:
    return sample_levels_plain(values, SHAPES, locations, weights)


WAYS = {"ours": ours, "ours, plain": plain, "stacked samples": stacked_samples, "gathered corners": gathered_corners}


def attention(name: str, device: str) -> tuple[float, float, Tensor]:
    """Seconds of forward and backward pass, peak megabytes on the card, result."""
    torch.manual_seed(0)
    tokens, levels = sum(rows * columns for rows, columns in SHAPES), len(SHAPES)
    values = torch.randn(BATCH, tokens, HEADS, CHANNELS, device=device, requires_grad=True)
    locations = torch.rand(BATCH, tokens, HEADS, levels, POINTS, 2, device=device, requires_grad=True)
    weights = torch.rand(BATCH, tokens, HEADS, levels, POINTS, device=device, requires_grad=True)
    result: list[Tensor] = []

    def call() -> None:
        result[:] = [WAYS[name](values, locations, weights)]
        result[0].sum().backward()

    return *_best(call, device), result[0].detach().cpu()


def training_step(name: str, device: str) -> tuple[float, float, None]:
    """Seconds of a step with frozen backbone; megabytes as for `attention`."""
    torch.manual_seed(0)
    model = ArsDetr(DETECTORS[name], 256).to(device).train()
    model.train_backbone("nothing")
    images = torch.randn(BATCH, 3, SIDE, SIDE, device=device)
    scale, shift = torch.tensor([SIDE, SIDE, 60, 30, 3.0]), torch.tensor([0, 0, 10, 5, -1.5])
    targets = [Targets((torch.rand(OBJECTS, 5) * scale + shift).to(device), torch.arange(OBJECTS, device=device)) for _ in range(BATCH)]
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    generator = torch.Generator().manual_seed(0)

    def call() -> None:
        encoded = model.encode(images)
        proposals = model.propose(encoded, model.project_memory(encoded))
        denoising = model.denoise(targets, encoded.sizes, generator)
        losses = model.losses(proposals, model.decode(encoded, proposals, denoising), denoising, targets, encoded.sizes)
        optimiser.zero_grad()
        torch.stack(list(losses.values.values())).sum().backward()
        optimiser.step()

    return *_best(call, device), None


def _best(call: Callable[[], None], device: str) -> tuple[float, float]:
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds), torch.cuda.max_memory_allocated() / 2**20 if device == "cuda" else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    device = parser.parse_args().device
    where = f"{torch.cuda.get_device_name()}, " if device == "cuda" else ""
    print(f"{where}{machine()}, torch {torch.__version__}; best of {REPEATS}")
    print(f"\nDeformable attention, forward and backward, {BATCH} images of {SIDE} px, {HEADS} heads of {CHANNELS}, {POINTS} points")
    first: tuple[float, float, Tensor] | None = None
    for name in WAYS:
        taken = measure(attention, name, device)
        seconds, card, result = taken.value
        first = first or (seconds, card, result)
        difference = float((result - first[2]).abs().max())
        megabytes = card if device == "cuda" else taken.megabytes - taken.start_megabytes
        print(f"  {name:18} {seconds * 1000:8.1f} ms  {megabytes:7.0f} MB  {seconds / first[0]:5.2f} times ours  differs by {difference:.1e}")
    print(f"\nTraining step, frozen backbone, {BATCH} images of {SIDE} px, {OBJECTS} objects each")
    for name in DETECTORS:
        taken = measure(training_step, name, device)
        megabytes = taken.value[1] if device == "cuda" else taken.megabytes - taken.start_megabytes
        print(f"  {name}: {taken.value[0]:.3f} s  {megabytes:.0f} MB")


if __name__ == "__main__":
    main()
