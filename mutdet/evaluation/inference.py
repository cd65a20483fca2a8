"""From tiles to detections in source pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mutdet.detectors.selection import select_detections
from mutdet.detectors.types import Detections
from mutdet.detectors.weights import DetectorFile
from mutdet.embedding.tile_images import decode_image, normalised
from mutdet.evaluation.merging import tile_to_source
from mutdet.geometry.nms import batched_rotated_nms
from mutdet.geometry.rotated_boxes import corners
from mutdet.settings.detect import DetectSettings
from mutdet.settings.errors import UserError
from mutdet.training.augmentation import resize
from mutdet.training.tile_dataset import pad_images

OBJECT = "object"
"""Category of every box of a detector that was pre-trained only."""
CLASS_AGNOSTIC = "class_agnostic"
"""Fact of a detector file: True where its classes are pseudo-classes, that are no categories."""
_NO_BOXES = np.zeros((0, 5), np.float32)


class TileInference:
    """Runs a detector on tiles.

    Args:
        file: detector.
        settings: size of the input, thresholds.
        device: where it runs.

    Raises:
        UserError: neither the settings nor the file say at which size the detector works.
    """

    def __init__(self, file: DetectorFile, settings: DetectSettings, device: torch.device) -> None:
        self._model = file.model.to(device)
        self._agnostic = bool(file.facts.get(CLASS_AGNOSTIC))
        self._categories = [OBJECT] if self._agnostic else file.categories
        self._settings, self._device = settings, device
        self._size = int(settings.image_size or file.facts.get("image_size") or 0)
        if self._size == 0:
            raise UserError("the detector's file does not say at which size of tiles it works", remedy="set image_size of detect")

    @torch.inference_mode()
    def __call__(self, tiles: Sequence[Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
        """Rows of the detections table for each tile, highest score first; boxes in pixels of the source image."""
        pixels = [decode_image(tile["image"], tile["tile_id"]) for tile in tiles]
        resized = [np.ascontiguousarray(resize(image, _NO_BOXES, self._size)[0]) for image in pixels]
        images, sizes = pad_images([normalised(image) for image in resized])
        found = self._predict(images.to(self._device), sizes.to(self._device))
        factors = [image.shape[1] / original.shape[1] for image, original in zip(resized, pixels, strict=True)]
        return [self._rows(tile, detections, factor) for tile, detections, factor in zip(tiles, found, factors, strict=True)]

    def _predict(self, images: Tensor, sizes: Tensor) -> list[Detections]:
        outputs = self._model(images, sizes)[2].matching
        if self._agnostic:
            outputs = replace(outputs, logits=outputs.logits.amax(-1, keepdim=True))
        return select_detections(outputs, sizes, self._settings.max_per_tile, self._model.coding)

    def _rows(self, tile: Mapping[str, Any], found: Detections, factor: float) -> list[dict[str, Any]]:
        """Suppress duplicates in one tile; `factor` is detector pixels per tile pixel."""
        boxes, scores, labels = found.boxes.cpu().numpy(), found.scores.cpu().numpy(), found.labels.cpu().numpy()
        likely = scores >= self._settings.min_score
        boxes, scores, labels = boxes[likely], scores[likely], labels[likely]
        kept = batched_rotated_nms(boxes, scores, labels, self._settings.tile_nms)
        source = tile_to_source(boxes[kept], tile["x"], tile["y"], tile["scale"] * factor)
        polygons = corners(source).reshape(-1, 8)
        names = ("cx", "cy", "w", "h", "angle")
        return [
            {**dict(zip(names, box, strict=True)), "polygon": polygon, "score": score, "category": self._categories[label]}
            for box, polygon, score, label in zip(source.tolist(), polygons.tolist(), scores[kept].tolist(), labels[kept].tolist(), strict=True)
        ]
