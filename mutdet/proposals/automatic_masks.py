"""Automatic masks of a whole tile: segment-anything's generator, with the filters moved before the work they save.

The stock generator upsamples every candidate to the tile's size before it looks at any of them, and codes the survivors
in Python. Here the predicted IoU filters first, masks are made in small chunks, and pycocotools codes them. With
`StockDecoder` the result is the stock generator's, mask for mask and bit for bit.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from segment_anything.modeling import Sam
from segment_anything.utils.amg import batched_mask_to_box, calculate_stability_score
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor
from torchvision.ops import batched_nms

from mutdet.proposals.decoders import Decoded, Decoder
from mutdet.proposals.mask import Image, Mask, area_of, encode_masks, ordered
from mutdet.proposals.prompts import Points, grid, peaks
from mutdet.proposals.small_encoder import SmallEncoder
from mutdet.settings.proposals.sam_generator import SamSettings

_PIXELS_PER_CHUNK = 1 << 24
"""Pixels of upsampled logits held at a time, 64 MiB."""

Size = tuple[int, int]


@dataclass(frozen=True)
class _Candidates:
    """Masks that passed the filters: tensors [M], boxes [M, 4] as x0 y0 x1 y1 of pixels, points [M, 2], run-length codes [M]."""

    predicted_iou: Tensor
    stability: Tensor
    boxes: Tensor
    points: Tensor
    counts: list[bytes]

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """One after the other."""

        def stacked(name: str) -> Tensor:
            return torch.cat([getattr(part, name) for part in parts])

        counts = [code for part in parts for code in part.counts]
        return cls(stacked("predicted_iou"), stacked("stability"), stacked("boxes"), stacked("points"), counts)


class AutomaticMasks:
    """Masks of a tile from point prompts; one encoding a tile, no crops."""

    def __init__(self, sam: Sam, decoder: Decoder, settings: SamSettings) -> None:
        self._sam = sam
        self._decoder = decoder
        self._settings = settings
        self._resize = ResizeLongestSide(sam.image_encoder.img_size)

    @torch.no_grad()
    def generate(self, image: Image, tile_id: str) -> list[Mask]:
        """Masks of an RGB image [H, W, 3]; see `MaskGenerator.generate`."""
        size = (image.shape[0], image.shape[1])
        resized = self._resize.apply_image(image)
        input_size = (resized.shape[0], resized.shape[1])
        embedding, found = self._encode(resized)
        points = np.concatenate([grid(self._settings.points_per_side, *size), found * (size[1] / input_size[1], size[0] / input_size[0])])
        step = self._settings.points_per_batch
        parts = [part for i in range(0, len(points), step) for part in self._decode(embedding, points[i : i + step], size, input_size)]
        return self._best(_Candidates.joined(parts), size) if parts else []

    def _encode(self, resized: Image) -> tuple[Tensor, Points]:
        """Embedding of the image, and the points at peaks in pixels of the model's input."""
        pixels = torch.as_tensor(resized, device=self._sam.device).permute(2, 0, 1).contiguous()[None]
        prepared = self._sam.preprocess(pixels)
        encoder = self._sam.image_encoder
        if not (self._settings.peaks and isinstance(encoder, SmallEncoder)):
            return encoder(prepared), np.zeros((0, 2))
        tokens, logits = encoder.tokens_and_peaks(prepared)
        return tokens, peaks(logits[0], (resized.shape[0], resized.shape[1]), self._settings.peaks, self._settings.peak_thresh)

    def _decode(self, embedding: Tensor, points: Points, size: Size, input_size: Size) -> list[_Candidates]:
        """Candidates of a batch of points, in chunks that bound the memory."""
        prompts = torch.as_tensor(self._resize.apply_coords(points, size), device=self._sam.device)
        decoded = self._decoder.decode(embedding, prompts)
        threshold = self._settings.pred_iou_thresh
        passed = decoded.predicted_iou > (threshold if threshold > 0 else -torch.inf)
        rows, kinds = torch.nonzero(passed, as_tuple=True)
        chunk = max(1, _PIXELS_PER_CHUNK // (size[0] * size[1]))
        located = torch.as_tensor(points)
        return [
            self._cut(decoded, located, some_rows, some_kinds, size, input_size)
            for some_rows, some_kinds in zip(torch.split(rows, chunk), torch.split(kinds, chunk), strict=True)
            if len(some_rows)
        ]

    def _cut(self, decoded: Decoded, points: Tensor, rows: Tensor, kinds: Tensor, size: Size, input_size: Size) -> _Candidates:
        """Make masks, drop the unstable ones, code the rest."""
        logits = self._sam.postprocess_masks(self._decoder.masks(decoded, rows, kinds)[None], input_size, size)[0]
        stability = calculate_stability_score(logits, self._sam.mask_threshold, self._settings.stability_score_offset)
        if self._settings.stability_score_thresh > 0:
            stable = stability >= self._settings.stability_score_thresh
            logits, stability, rows, kinds = logits[stable], stability[stable], rows[stable], kinds[stable]
        masks = logits > self._sam.mask_threshold
        columns_first = masks.transpose(1, 2).contiguous().cpu().numpy().view(np.uint8)
        return _Candidates(
            predicted_iou=decoded.predicted_iou[rows, kinds],
            stability=stability,
            boxes=batched_mask_to_box(masks),
            points=points[rows.cpu()],
            counts=encode_masks(columns_first.T),
        )

    def _best(self, found: _Candidates, size: Size) -> list[Mask]:
        """Suppress duplicates by their horizontal boxes, as the stock generator does."""
        same_category = torch.zeros(len(found.counts))
        kept = batched_nms(found.boxes.float(), found.predicted_iou, same_category, self._settings.box_nms_thresh).cpu()
        boxes, ious, stability = found.boxes.cpu(), found.predicted_iou.cpu(), found.stability.cpu()
        masks = []
        for index in kept.tolist():
            x0, y0, x1, y1 = boxes[index].tolist()
            x, y = found.points[index].tolist()
            area = area_of(size, found.counts[index])
            masks.append(Mask(size, found.counts[index], area, (x0, y0, x1 - x0, y1 - y0), ious[index].item(), stability[index].item(), (x, y)))
        return ordered((mask for mask in masks if mask.area), self._settings.max_masks)
