"""Embedding of boxes batched over tiles, against the backbone alone on crops made before, and one forward pass and one decode per box."""

import argparse
import tempfile
import timeit
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from measuring import Measurement, best, machine, measure
from torchvision.ops import roi_align

from mutdet.embedding.backbones import build_backbone, load_backbone, save_backbone
from mutdet.embedding.crop_embedder import CropEmbedder
from mutdet.embedding.rotated_crops import rotated_crops
from mutdet.embedding.tile_images import decode_image, normalised
from mutdet.settings.embed import EmbedSettings

Rows = list[dict[str, Any]]
REPEATS = 5


class Embedded(NamedTuple):
    """Vectors, and seconds of the fastest of some calls, the first left out: it compiles, or reads what was compiled."""

    vectors: np.ndarray
    seconds: float
    backbone_seconds: float = 0.0


def rows(tiles: int, boxes: int, side: int) -> tuple[Rows, Rows]:
    """Tiles of noise with the same number of random boxes each."""
    random = np.random.default_rng(0)
    images = [{"tile_id": f"{t:04d}", "image": cv2.imencode(".png", random.integers(0, 256, (side, side, 3), np.uint8))[1].tobytes()} for t in range(tiles)]
    found = []
    for tile in images:
        for mask in range(boxes):
            (cx, cy), h, angle = random.uniform(0, side, 2), random.uniform(5, 40), random.uniform(-1.57, 1.57)
            found.append({"tile_id": tile["tile_id"], "mask_id": mask, "cx": cx, "cy": cy, "w": h * 2, "h": h, "angle": angle})
    return images, found


def batched(weights: Path, tiles: Rows, boxes: Rows, settings: EmbedSettings) -> Embedded:
    """Ours, and in turn with it the backbone alone on as many crops made before, in the same batches."""
    torch.set_num_threads(1)
    backbone = load_backbone(weights)[0]
    embedder = CropEmbedder(backbone, settings, torch.device("cpu"))
    crops = torch.randn(settings.batch, 3, settings.crop, settings.crop)
    shares = [*[settings.batch] * (len(boxes) // settings.batch), len(boxes) % settings.batch]

    @torch.inference_mode()
    def alone() -> None:
        for share in filter(None, shares):
            backbone(crops[:share]).mean((2, 3))

    def ours() -> np.ndarray:
        return np.concatenate([vectors for _, vectors in embedder.embed(tiles, boxes)])

    vectors = ours()
    alone()
    pairs = [(best(ours, "cpu", 1), best(alone, "cpu", 1)) for _ in range(REPEATS)]
    return Embedded(vectors, min(pair[0] for pair in pairs), min(pair[1] for pair in pairs))


@torch.inference_mode()
def one_by_one(weights: Path, tiles: Rows, boxes: Rows, settings: EmbedSettings) -> Embedded:
    torch.set_num_threads(1)
    backbone, _ = load_backbone(weights)
    encoded = {tile["tile_id"]: tile["image"] for tile in tiles}

    def embed(row: dict[str, Any]) -> np.ndarray:
        image = normalised(decode_image(encoded[row["tile_id"]], row["tile_id"]))
        box = torch.tensor([[row[name] for name in ("cx", "cy", "w", "h", "angle")]], dtype=torch.float32)
        return backbone(rotated_crops(image, box, settings.crop, settings.enlarge)).mean((2, 3)).numpy()

    def plain() -> np.ndarray:
        return np.concatenate([embed(row) for row in boxes])

    return Embedded(plain(), best(plain, "cpu", REPEATS))


def crop_seconds(settings: EmbedSettings, *, upright: bool) -> float:
    """Seconds per crop; upright takes torchvision's compiled RoI-align, which cannot turn a box."""
    torch.set_num_threads(1)
    image, boxes = torch.randn(3, 800, 800), torch.tensor([[400.0, 400, 80, 40, 0.0]]).repeat(64, 1)
    corners = torch.cat([boxes[:, :2] - boxes[:, 2:4] * 0.75, boxes[:, :2] + boxes[:, 2:4] * 0.75], 1)
    size = settings.crop

    def crop() -> None:
        roi_align(image[None], [corners], size, sampling_ratio=2, aligned=True) if upright else rotated_crops(image, boxes, size, settings.enlarge)

    crop()
    return timeit.timeit(crop, number=3) / 3 / len(boxes)


def show(name: str, measured: Measurement, count: int) -> None:
    print(f"{name:40s} {1000 * measured.value.seconds / count:7.1f} ms a box {measured.megabytes:7.0f} MB peak ({measured.start_megabytes:.0f} MB before)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--crop", type=int, default=96)
    parser.add_argument("--tiles", type=int, default=12)
    parser.add_argument("--boxes", type=int, default=16)
    arguments = parser.parse_args()
    settings = EmbedSettings(boxes="b", backbone="b", crop=arguments.crop)
    tiles, boxes = rows(arguments.tiles, arguments.boxes, side=800)
    print(machine())
    print(f"{arguments.architecture}, {len(tiles)} tiles of 800 px, {len(boxes)} boxes, crops of {settings.crop} px, one thread, CPU")
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "backbone.safetensors"
        save_backbone(weights, build_backbone(arguments.architecture), "random")
        ours, plain = (measure(function, weights, tiles, boxes, settings) for function in (batched, one_by_one))
    show("batched over tiles, one decode a tile", ours, len(boxes))
    show("one forward pass and decode a box", plain, len(boxes))
    print(f"the backbone alone on prepared crops takes {ours.value.backbone_seconds / ours.value.seconds:.0%} of our time")
    difference = np.abs(ours.value.vectors - plain.value.vectors).max()
    print(f"ratio: {plain.value.seconds / ours.value.seconds:.2f} x the time of ours; largest difference {difference:.1e}")
    mine, compiled = crop_seconds(settings, upright=False), crop_seconds(settings, upright=True)
    print(f"crop alone: {1000 * mine:.2f} ms rotated, {1000 * compiled:.2f} ms torchvision's upright RoI-align, ratio {compiled / mine:.2f}")
