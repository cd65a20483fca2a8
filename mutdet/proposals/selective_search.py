"""Mask generator `selective_search`: OpenCV's, made deterministic."""

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from mutdet.proposals.mask import Finish, Image, Mask, Region, as_stored, ordered
from mutdet.settings.proposals.selective_search import SelectiveSearchSettings
from mutdet.settings.seeds import generator_for

Rectangles = NDArray[np.int64]


class SelectiveSearchGenerator:
    """Horizontal boxes of selective search, as filled rectangles."""

    def __init__(self, settings: SelectiveSearchSettings, device: torch.device) -> None:
        self.tiles_per_batch = 1
        self._settings = settings

    def search(self, images: Sequence[Image], tile_ids: Sequence[str]) -> list[Finish]:
        """Leave all to the functions returned; see `MaskGenerator.search`."""
        return [partial(self._masks, image, tile_id) for image, tile_id in zip(images, tile_ids, strict=True)]

    def _masks(self, image: Image, tile_id: str) -> list[Mask]:
        """Rectangles in an RGB image [H, W, 3]; predicted_iou falls linearly with the rank from 1, stability is 1.

        OpenCV draws the ranking of its boxes from the C library's global generator, so that it would depend on the tiles
        before. The set of boxes does not: it is ranked here as in the paper (section 3.4), by the place in the
        hierarchy, whose order the box's area stands for, times a random number seeded by the tile's id.
        """
        height, width = image.shape[:2]
        boxes = self._search(image)
        boxes = boxes[(boxes[:, 2:] >= self._settings.min_side).all(axis=1)]
        boxes = boxes[_ranking(boxes, generator_for(self._settings.seed, "masks", tile_id))][: self._settings.max_proposals]
        masks = []
        for rank, (x, y, w, h) in enumerate(boxes.tolist()):
            region = Region(x, y, w, h, bytes([1]) * (w * h))
            masks.append(Mask((height, width), region, as_stored(1 - rank / len(boxes)), 1.0, (x + w / 2, y + h / 2)))
        return ordered(masks)

    def _search(self, image: Image) -> Rectangles:
        """[M, 4] distinct boxes x, y, w, h in pixels of the image, sorted."""
        height, width = image.shape[:2]
        scale = min(1.0, (self._settings.resize or max(height, width)) / max(height, width))
        small = cv2.resize(image, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA) if scale < 1 else image
        search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
        search.setBaseImage(np.ascontiguousarray(small[..., ::-1]))
        switch = search.switchToSelectiveSearchFast if self._settings.strategy == "fast" else search.switchToSelectiveSearchQuality
        switch(self._settings.base_k, self._settings.step_k, self._settings.sigma)
        found = np.asarray(search.process(), np.float64).reshape(-1, 4)
        ratio = np.array([width / small.shape[1], height / small.shape[0]])
        low, high = np.floor(found[:, :2] * ratio), np.ceil((found[:, :2] + found[:, 2:]) * ratio)
        high = np.minimum(high, [width, height])
        return np.unique(np.concatenate([low, high - low], axis=1).astype(np.int64), axis=0)


def _ranking(boxes: Rectangles, rng: np.random.Generator) -> NDArray[np.intp]:
    """Order of sorted boxes [M, 4]: large ones first, but at random."""
    by_area = np.argsort(-(boxes[:, 2] * boxes[:, 3]), kind="stable")
    place = np.empty(len(boxes))
    place[by_area] = np.arange(1, len(boxes) + 1)
    return np.argsort(place * rng.random(len(boxes)), kind="stable")
