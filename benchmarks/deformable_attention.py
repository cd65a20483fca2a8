"""Sampling of deformable attention, ours against the common way to write it and a gather of corners, in one process on the same inputs.

`--device cuda` measures on a graphics card, at ARS-DETR's sizes (1024 px: 21,760 queries) unless told otherwise; the CPU's default is 256 px. Queries
are the encoder's, one per token with places some cells around it; `--queries` places as many at random instead, as a decoder does.
"""

import argparse
import importlib.metadata
import importlib.util
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from measuring import best, extra_memory, machine
from torch import Tensor

from mutdet.nn.level_sampling.choice import Sampling, sample_levels, sampling_on
from mutdet.nn.level_sampling.function import Shapes
from mutdet.nn.level_sampling.plain import sample_levels_plain

SPREAD = 2.0
"""Standard deviation of the places around a query, in cells of each level."""


def stacked_samples(values: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """The common way (Deformable DETR's `ms_deform_attn_core_pytorch`): all samples of all levels side by side, then one weighted sum."""
    batch, _, heads, channels = values.shape
    queries = locations.shape[1]
    samples = []
    for level, part in enumerate(values.split([rows * columns for rows, columns in shapes], dim=1)):
        grid = part.flatten(2).transpose(1, 2).reshape(batch * heads, channels, *shapes[level])
        places = (2 * locations - 1)[:, :, :, level].transpose(1, 2).flatten(0, 1)
        samples.append(F.grid_sample(grid, places, align_corners=False))
    shares = weights.transpose(1, 2).reshape(batch * heads, 1, queries, -1)
    return (torch.stack(samples, dim=-2).flatten(-2) * shares).sum(-1).view(batch, heads * channels, queries).transpose(1, 2).contiguous()


def gathered_corners(values: Tensor, shapes: Shapes, locations: Tensor, weights: Tensor) -> Tensor:
    """The naive way: fetch the four corners of every sample, then weigh them.

    The gradient of a place that lies on a cell's border is that of another neighbouring cell here: either is right, so a single one may differ.
    """
    batch, _, heads, channels = values.shape
    total = values.new_zeros(batch, locations.shape[1], heads, channels)
    start = 0
    image, head = torch.arange(batch, device=values.device)[:, None, None, None], torch.arange(heads, device=values.device)[:, None]
    for level, (rows, columns) in enumerate(shapes):
        x, y = (locations[:, :, :, level] * locations.new_tensor([columns, rows]) - 0.5).unbind(-1)
        for column in (x.floor(), x.floor() + 1):
            for row in (y.floor(), y.floor() + 1):
                inside = (column >= 0) & (column < columns) & (row >= 0) & (row < rows)
                share = (1 - (x - column).abs()) * (1 - (y - row).abs()) * inside * weights[:, :, :, level]
                token = start + row.clamp(0, rows - 1).long() * columns + column.clamp(0, columns - 1).long()
                total = total + (values[image, token, head] * share[..., None]).sum(3)
        start += rows * columns
    return total.flatten(2)


WAYS: dict[str, Sampling] = {
    "stacked samples": stacked_samples,
    "ours": sample_levels,
    "ours, plain": sample_levels_plain,
    "gathered corners": gathered_corners,
}


@dataclass(frozen=True)
class Case:
    """Inputs of every way.

    Attributes:
        shapes: (rows, columns) of every level.
        inputs: values, locations and weights as `sample_levels` takes them.
        upstream: gradient of the result.
    """

    shapes: Shapes
    inputs: tuple[Tensor, Tensor, Tensor]
    upstream: Tensor

    def forward(self, way: str) -> Tensor:
        """Result."""
        with torch.no_grad():
            return WAYS[way](self.inputs[0], self.shapes, *self.inputs[1:])

    def both(self, way: str) -> tuple[Tensor, ...]:
        """Result, gradients of the inputs."""
        result = WAYS[way](self.inputs[0], self.shapes, *self.inputs[1:])
        return result.detach(), *torch.autograd.grad(result, self.inputs, self.upstream)


def case(chosen: argparse.Namespace) -> Case:
    """Inputs of the chosen sizes."""
    generator = torch.Generator().manual_seed(0)
    sides = [chosen.side // (8 << level) for level in range(chosen.levels)]
    centres = torch.cat([torch.cartesian_prod(*[(torch.arange(side) + 0.5) / side] * 2).flip(-1) for side in sides])
    tokens = len(centres)
    if chosen.queries:
        centres = torch.rand(chosen.queries, 2, generator=generator)
    offsets = torch.randn(chosen.images, len(centres), chosen.heads, chosen.levels, chosen.points, 2, generator=generator) * SPREAD
    locations = centres[:, None, None, None] + offsets / torch.tensor(sides)[:, None, None]
    weights = torch.randn(chosen.images, len(centres), chosen.heads, chosen.levels * chosen.points, generator=generator).softmax(-1)
    values = torch.randn(chosen.images, tokens, chosen.heads, chosen.channels, generator=generator)
    upstream = torch.randn(chosen.images, len(centres), chosen.heads * chosen.channels, generator=generator)
    inputs = (values, locations, weights.unflatten(-1, (chosen.levels, chosen.points)))
    first, second, third = (x.to(chosen.device).requires_grad_() for x in inputs)
    return Case([(side, side) for side in sides], (first, second, third), upstream.to(chosen.device))


def report(sizes: Case, device: str, repeats: int) -> None:
    """Print a line for each way; ratios are the common way's time and memory over its own."""
    common: tuple[float, float, float] | None = None
    expected = sizes.both("ours, plain")
    for way in WAYS:
        results = sizes.both(way)
        repeatable = all(map(torch.equal, results, sizes.both(way)))
        difference = max(float((ours - plain).abs().max() / plain.abs().max()) for ours, plain in zip(results, expected, strict=True))
        del results
        taken = (
            best(lambda way=way: sizes.forward(way), device, repeats),
            best(lambda way=way: sizes.both(way), device, repeats),
            extra_memory(lambda way=way: sizes.both(way), device),
        )
        common = common or taken
        times, memory = (f"{a * 1000:9.2f} ms {b / a:5.2f}x" for a, b in zip(taken[:2], common[:2], strict=True)), f"{taken[2]:7.0f} MB"
        print(f"  {way:16}  {'  '.join(times)}  {memory} {common[2] / max(taken[2], 1):5.2f}x  {'yes' if repeatable else 'no':3}  {difference:.0e}", flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--side", type=int, help="side of the images in pixels; 1024 with CUDA, 256 without")
    parser.add_argument("--queries", type=int, help="queries placed at random; by default one per token")
    for name, default in {"images": 2, "levels": 4, "points": 4, "heads": 8, "channels": 32, "repeats": 10}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    chosen = parser.parse_args()
    chosen.side = chosen.side or (1024 if chosen.device == "cuda" else 256)
    return chosen


def main() -> None:
    chosen = arguments()
    where = f"{torch.cuda.get_device_name()}, " if chosen.device == "cuda" else ""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "triton", "numba") if importlib.util.find_spec(name))
    print(f"{where}{machine()}, {torch.get_num_threads()} threads, {versions}; best of {chosen.repeats}")
    sizes = case(chosen)
    heads = f"{chosen.heads} heads of {chosen.channels}, {chosen.levels} levels, {chosen.points} points"
    print(f"{chosen.images} images of {chosen.side} px, {sizes.upstream.shape[1]} queries, {heads}")
    print(f"ours is {sampling_on(torch.device(chosen.device)).__name__}")
    print(f"  {'':16}  {'forward':19}  {'forward, backward':19}  {'extra peak':17}  same bits twice, largest difference from plain")
    report(sizes, chosen.device, chosen.repeats)


if __name__ == "__main__":
    main()
