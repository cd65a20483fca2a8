"""Automatic masks of scenes, against segment-anything's own generator on the same weights and settings.

Untrained models (all but `small`) rate all masks alike; `--quantiles` sets the thresholds so that 30 % of a tile's candidates pass the predicted IoU
and about 100 are kept. On a GPU: `python benchmarks/masks.py --device cuda --model vit_h --side 1024 --points 32 --quantiles --tiles 16`.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import torch
from measuring import machine, measure
from segment_anything import SamAutomaticMaskGenerator, sam_model_registry
from segment_anything.modeling import Sam

from mutdet.data.scenes.draw import draw_scene
from mutdet.geometry.iou import rotated_iou
from mutdet.proposals.mask import Mask, Region, masks_of
from mutdet.proposals.mask_boxes import box_of_region
from mutdet.proposals.sam_generator import automatic_masks
from mutdet.proposals.sam_weights import load_sam
from mutdet.proposals.tile_stream import masks_of_tiles
from mutdet.settings.proposals.sam_generator import SamSettings
from mutdet.settings.scenes import SceneSettings
from mutdet.settings.seeds import generator_for

STOCK = "segment-anything's generator"
HALF = {"decoder": "fused", "encoder": "fused", "precision": "bfloat16", "tiles_per_batch": 4, "points_per_batch": None}
VARIANTS: dict[str, dict[str, object]] = {
    "ours, stock decoder": {},
    "ours, fused": {"decoder": "fused", "encoder": "fused"},
    "ours, fused, bfloat16, larger batches": HALF,
    "the same, compiled": {**HALF, "compile": True},
}
PASSING, KEPT = 0.3, 100


@dataclass(frozen=True)
class Task:
    """What every side works on."""

    model: str
    device: str
    tiles: int
    side: int
    settings: SamSettings

    def sam(self) -> Sam:
        """The package's small model, or an untrained one of segment-anything's, whose masks are arbitrary but as large."""
        torch.set_num_threads(1)
        torch.manual_seed(0)
        return (load_sam("small", None, None) if self.model == "small" else sam_model_registry[self.model]()).to(self.device).eval()

    def images(self) -> list[np.ndarray]:
        """[side, side, 3] procedural scenes."""
        return [draw_scene(SceneSettings(size=self.side), generator_for(0, "benchmark", number)).image for number in range(self.tiles)]


@dataclass(frozen=True)
class Outcome:
    """Masks of all tiles as (tile, run-length code) with their rotated boxes, seconds a tile, and peak memory of the GPU."""

    codes: set[tuple[int, bytes]]
    boxes: list[np.ndarray]
    seconds: float
    gpu_megabytes: float


def stock(task: Task) -> Outcome:
    fields = ("points_per_side", "points_per_batch", "pred_iou_thresh", "stability_score_thresh", "box_nms_thresh")
    generator = SamAutomaticMaskGenerator(task.sam(), output_mode="coco_rle", **{field: getattr(task.settings, field) for field in fields})
    return timed(task, lambda images: ([_mask(record) for record in generator.generate(image)] for image in images))


def ours(task: Task, changed: dict[str, object]) -> Outcome:
    generator = automatic_masks(task.sam(), task.settings.model_copy(update=changed))

    def search(images: list[np.ndarray]) -> Iterator[list[Mask]]:
        tiles = ({"tile_id": str(number), "image": image} for number, image in enumerate(images))
        return (masks for _, masks in masks_of_tiles(generator, tiles, lambda image, _: image))

    return timed(task, search)


def timed(task: Task, search: Callable[[list[np.ndarray]], Iterator[list[Mask]]]) -> Outcome:
    """The first tile is searched once before, so that compilers and allocators are done."""
    images = task.images()
    list(search(images[:1]))
    cuda = task.device == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    found = [[(mask, mask.counts) for mask in masks] for masks in search(images)]
    seconds = (time.perf_counter() - start) / task.tiles
    boxes = [np.array([box_of_region(mask.region) for mask, _ in some]).reshape(-1, 5) for some in found]
    codes = {(tile, code) for tile, some in enumerate(found) for _, code in some}
    return Outcome(codes, boxes, seconds, torch.cuda.max_memory_allocated() / 2**20 if cuda else 0.0)


def _mask(record: dict) -> Mask:
    size = record["segmentation"]["size"]
    return Mask(tuple(size), Region.decoded(size, record["segmentation"]["counts"].encode()), record["predicted_iou"], record["stability_score"], (0.0, 0.0))


def at_quantiles(task: Task) -> SamSettings:
    """Thresholds that let 30 % of the candidates of the first tile pass the predicted IoU and keep 100 of them, without suppression."""
    loose = task.settings.model_copy(update={"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "box_nms_thresh": 1.0, "decoder": "fused"})
    masks = masks_of(automatic_masks(task.sam(), loose), task.images()[0], "")
    threshold = float(np.quantile([mask.predicted_iou for mask in masks], 1 - PASSING))
    stability = sorted(mask.stability_score for mask in masks if mask.predicted_iou > threshold)
    update = {"pred_iou_thresh": threshold, "stability_score_thresh": stability[-min(KEPT, len(stability))], "box_nms_thresh": 1.0}
    return task.settings.model_copy(update=update)


def recall(found: Outcome, expected: Outcome) -> float:
    """Share of the boxes of one that a box of the other overlaps by an IoU of 0.9."""
    best = [rotated_iou(a, b).max(axis=1, initial=0.0) for a, b in zip(expected.boxes, found.boxes, strict=True)]
    return float(np.mean(np.concatenate(best) >= 0.9))


def seconds_of(task: Task, changed: dict[str, object]) -> float:
    return ours(task, changed).seconds


def together(task: Task, processes: int, changed: dict[str, object]) -> float:
    """Tiles a second of several processes that share the device."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        seconds = list(pool.map(seconds_of, [task] * processes, [changed] * processes))
    return processes / statistics.mean(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="small", choices=["small", "vit_b", "vit_l", "vit_h"])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--tiles", type=int, default=4)
    parser.add_argument("--side", type=int, default=256, help="pixels of a tile")
    parser.add_argument("--points", type=int, default=16, help="points per side")
    parser.add_argument("--threshold", type=float, default=0.6, help="of predicted IoU")
    parser.add_argument("--quantiles", action="store_true", help="thresholds for untrained models")
    parser.add_argument("--processes", type=int, default=1, help="also time this many processes that share the device")
    given = parser.parse_args()
    settings = SamSettings(points_per_side=given.points, pred_iou_thresh=given.threshold, stability_score_thresh=min(given.threshold, 0.8))
    task = Task(given.model, given.device, given.tiles, given.side, settings)
    if given.quantiles:
        task = Task(given.model, given.device, given.tiles, given.side, at_quantiles(task))
    where = torch.cuda.get_device_name() if given.device == "cuda" else "one thread"
    print(f"{machine()}; {where}; torch {torch.__version__}; {given.model}, {given.tiles} tiles of {given.side} px, {given.points**2} prompts each")
    theirs = measure(stock, task)
    print(f"{STOCK:40s} {theirs.value.seconds:8.3f} s a tile; {theirs.megabytes:6.0f} MB, GPU {theirs.value.gpu_megabytes:6.0f} MB")
    for name, changed in VARIANTS.items():
        measured = measure(ours, task, changed)
        found: Outcome = measured.value
        print(f"{name:40s} {found.seconds:8.3f} s a tile; {measured.megabytes:6.0f} MB, GPU {found.gpu_megabytes:6.0f} MB")
        equal = f"{len(found.codes & theirs.value.codes)} of {len(theirs.value.codes)} masks equal bit by bit, {len(found.codes)} ours"
        print(f"    {theirs.value.seconds / found.seconds:.1f} times as fast; {equal}; {recall(found, theirs.value):.3f} of its boxes found at IoU 0.9")
    if given.processes > 1:
        one, several = together(task, 1, HALF), together(task, given.processes, HALF)
        print(f"{given.processes} processes together: {several:.1f} tiles a second; one: {one:.1f}")


if __name__ == "__main__":
    main()
