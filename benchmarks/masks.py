"""Automatic masks of scenes, against segment-anything's own generator on the same weights and settings."""

import argparse

import numpy as np
import torch
from measuring import Measurement, machine, measure
from segment_anything import SamAutomaticMaskGenerator, sam_model_registry
from segment_anything.modeling import Sam

from mutdet.data.scenes.draw import draw_scene
from mutdet.proposals.automatic_masks import AutomaticMasks
from mutdet.proposals.decoders import FusedDecoder, StockDecoder
from mutdet.proposals.mask import Mask, masks_of
from mutdet.proposals.sam_weights import load_sam
from mutdet.settings.proposals.sam_generator import SamSettings
from mutdet.settings.scenes import SceneSettings
from mutdet.settings.seeds import generator_for

DECODERS = {"stock": StockDecoder, "fused": FusedDecoder}
Masks = list[tuple[str, float]]


def model(name: str) -> Sam:
    """The package's small model, or an untrained one of segment-anything's, whose masks are arbitrary but as large."""
    torch.set_num_threads(1)
    if name == "small":
        return load_sam("small", None, None)
    torch.manual_seed(0)
    return sam_model_registry[name]()


def settings(points: int, threshold: float) -> SamSettings:
    return SamSettings(points_per_side=points, pred_iou_thresh=threshold, stability_score_thresh=min(threshold, 0.8))


def images(count: int, side: int) -> list[np.ndarray]:
    return [draw_scene(SceneSettings(size=side), generator_for(0, "benchmark", number)).image for number in range(count)]


def stock(name: str, count: int, side: int, points: int, threshold: float) -> Masks:
    chosen = settings(points, threshold)
    fields = ("points_per_side", "points_per_batch", "pred_iou_thresh", "stability_score_thresh", "box_nms_thresh")
    generator = SamAutomaticMaskGenerator(model(name), output_mode="coco_rle", **{field: getattr(chosen, field) for field in fields})
    return [(found["segmentation"]["counts"], found["predicted_iou"]) for image in images(count, side) for found in generator.generate(image)]


def ours(decoder: str, name: str, count: int, side: int, points: int, threshold: float) -> Masks:
    sam = model(name)
    generator = AutomaticMasks(sam, DECODERS[decoder](sam), settings(points, threshold))
    found: list[Mask] = [mask for image in images(count, side) for mask in masks_of(generator, image, "")]
    return [(mask.counts.decode(), mask.predicted_iou) for mask in found]


def show(name: str, measured: Measurement, count: int) -> None:
    print(f"{name:34s} {measured.seconds / count:7.2f} s a tile {measured.megabytes:6.0f} MB peak ({measured.start_megabytes:.0f} MB before)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="small", choices=["small", "vit_b", "vit_l", "vit_h"])
    parser.add_argument("--tiles", type=int, default=4)
    parser.add_argument("--side", type=int, default=256, help="pixels of a tile")
    parser.add_argument("--points", type=int, default=16, help="points per side")
    parser.add_argument("--threshold", type=float, default=0.6, help="of predicted IoU")
    given = parser.parse_args()
    print(f"{machine()}; one thread; model {given.model}, {given.tiles} tiles of {given.side} px, {given.points**2} prompts each, drawing the scenes included")
    task = (given.model, given.tiles, given.side, given.points, given.threshold)
    theirs = measure(stock, *task)
    show("segment-anything's generator", theirs, given.tiles)
    for kind in DECODERS:
        measured = measure(ours, kind, *task)
        show(f"ours, decoder {kind}", measured, given.tiles)
        shared = len(set(measured.value) & set(theirs.value))
        print(f"  {theirs.seconds / measured.seconds:.1f} times as fast; {shared} of {len(theirs.value)} masks equal bit by bit, ours {len(measured.value)}")
