"""Automatic masks of whole tiles: segment-anything's generator, with the filters moved before the work they save.

The stock generator upsamples every candidate to the tile's size before it looks at any of them, and codes all that pass
its thresholds in Python. Here the predicted IoU filters first, masks are made in small chunks and kept as bits, and only
those that no filter and no suppression drops leave the device. With `StockDecoder` the result is the stock generator's,
mask for mask and bit for bit, crop layers included.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from segment_anything.modeling import Sam
from segment_anything.utils.amg import batched_mask_to_box, calculate_stability_score, is_box_near_crop_edge
from segment_anything.utils.transforms import ResizeLongestSide
from torch import Tensor
from torchvision.ops import batched_nms

from mutdet.proposals.candidates import Candidates, packed
from mutdet.proposals.crops import Crop, crops_of
from mutdet.proposals.decoders import Decoded, Decoder
from mutdet.proposals.encoding import Encoded, ImageEncoder
from mutdet.proposals.mask import Finish, Image, Mask, Size, ordered
from mutdet.proposals.precision import arithmetic
from mutdet.proposals.prompts import Points, grid, peaks
from mutdet.proposals.working_memory import mask_pixels_at_once, prompts_at_once
from mutdet.settings.proposals.sam_generator import SamSettings


class AutomaticMasks:
    """Masks of tiles from point prompts, of the whole tile and of crops of it."""

    def __init__(self, sam: Sam, decoder: Decoder, settings: SamSettings) -> None:
        self._sam = sam
        self._decoder = decoder
        self._settings = settings
        self._encoder = ImageEncoder(sam, settings)
        self._resize = ResizeLongestSide(sam.image_encoder.img_size)
        self.tiles_per_batch = settings.tiles_per_batch

    @torch.no_grad()
    def search(self, images: Sequence[Image], tile_ids: Sequence[str]) -> list[Finish]:
        """Find the masks of RGB images [H, W, 3]; see `MaskGenerator.search`."""
        crops = [crops_of((image.shape[0], image.shape[1]), self._settings) for image in images]
        with arithmetic(self._settings.precision, self._sam.device):
            encoded = iter(self._encoder.encode([crop.of(image) for image, some in zip(images, crops, strict=True) for crop in some]))
            return [self._of_tile((image.shape[0], image.shape[1]), some, encoded) for image, some in zip(images, crops, strict=True)]

    def _of_tile(self, size: Size, crops: Sequence[Crop], encoded: Iterator[Encoded]) -> Finish:
        """Search each crop, then drop what several of them found; what is left is masks in main memory."""
        found = [(crop, candidates) for crop in crops if (candidates := self._of_crop(crop, next(encoded), size)) is not None]
        if len(crops) > 1 and found:
            found = self._without_repeats(found)
        on_cpu = [(crop, candidates.on_cpu()) for crop, candidates in found]
        return partial(_finished, on_cpu, size, self._settings.max_masks)

    def _of_crop(self, crop: Crop, image: Encoded, size: Size) -> Candidates | None:
        points = grid(crop.points_per_side, *image.size)
        if image.centres is not None:
            centres = peaks(image.centres, image.input_size, self._settings.peaks, self._settings.peak_thresh)
            points = np.concatenate([points, centres * (image.size[1] / image.input_size[1], image.size[0] / image.input_size[0])])
        step = self._settings.points_per_batch or prompts_at_once(image.embedding)
        parts = [part for i in range(0, len(points), step) for part in self._decode(image, points[i : i + step], crop, size)]
        return Candidates.joined(parts).without_duplicates(self._settings.box_nms_thresh) if parts else None

    def _decode(self, image: Encoded, points: Points, crop: Crop, size: Size) -> list[Candidates]:
        """Candidates of a batch of points, in chunks that bound the memory."""
        prompts = torch.as_tensor(self._resize.apply_coords(points, image.size), device=self._sam.device)
        decoded = self._decoder.decode(image.embedding, prompts)
        threshold = self._settings.pred_iou_thresh
        rows, kinds = torch.nonzero(decoded.predicted_iou > (threshold if threshold > 0 else -torch.inf), as_tuple=True)
        chunk = max(1, mask_pixels_at_once(self._sam.device) // (image.size[0] * image.size[1]))
        located = torch.as_tensor(points)
        return [
            self._cut(decoded, located, some_rows, some_kinds, image, crop, size)
            for some_rows, some_kinds in zip(torch.split(rows, chunk), torch.split(kinds, chunk), strict=True)
            if len(some_rows)
        ]

    def _cut(self, decoded: Decoded, points: Tensor, rows: Tensor, kinds: Tensor, image: Encoded, crop: Crop, size: Size) -> Candidates:
        """Make masks, drop the unstable ones and those that the crop cuts off."""
        logits = self._enlarged(self._decoder.masks(decoded, rows, kinds).float(), image)
        stability = calculate_stability_score(logits, self._sam.mask_threshold, self._settings.stability_score_offset)
        if self._settings.stability_score_thresh > 0:
            stable = stability >= self._settings.stability_score_thresh
            logits, stability, rows, kinds = logits[stable], stability[stable], rows[stable], kinds[stable]
        masks = logits > self._sam.mask_threshold
        boxes = batched_mask_to_box(masks).long()  # of no masks it makes float32, which `joined` would spread to the boxes of other chunks
        found = Candidates(decoded.predicted_iou[rows, kinds].float(), stability, boxes, points[rows.cpu()], packed(masks))
        if crop.size == size:
            return found
        return found.at(~is_box_near_crop_edge(boxes, [crop.x0, crop.y0, crop.x1, crop.y1], [0, 0, size[1], size[0]]))

    def _enlarged(self, logits: Tensor, image: Encoded) -> Tensor:
        """[M, h, w] logits of the image's size from the decoder's [M, H', W']."""
        side = self._sam.image_encoder.img_size
        if image.size == image.input_size:  # the second enlargement of `postprocess_masks` would be by one
            large = torch.nn.functional.interpolate(logits[None], (side, side), mode="bilinear", align_corners=False)[0]
            return large[:, : image.size[0], : image.size[1]]
        result: Tensor = self._sam.postprocess_masks(logits[None], image.input_size, image.size)[0]
        return result

    def _without_repeats(self, found: Sequence[tuple[Crop, Candidates]]) -> list[tuple[Crop, Candidates]]:
        """Suppress masks of one crop by those of smaller crops, as the stock generator does."""
        boxes = torch.cat([candidates.boxes + candidates.boxes.new_tensor([crop.x0, crop.y0] * 2) for crop, candidates in found])
        areas = torch.cat([torch.full((len(candidates.boxes),), crop.size[0] * crop.size[1], device=boxes.device) for crop, candidates in found])
        kept = batched_nms(boxes.float(), 1 / areas, torch.zeros(len(boxes)), self._settings.crop_nms_thresh)
        flags = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device).index_fill(0, kept, True)
        parts = flags.split([len(candidates.boxes) for _, candidates in found])
        return [(crop, candidates.at(part)) for (crop, candidates), part in zip(found, parts, strict=True)]


def _finished(found: Sequence[tuple[Crop, Candidates]], size: Size, limit: int | None) -> list[Mask]:
    masks = [mask for crop, candidates in found for mask in candidates.masks(crop.x0, crop.y0, size)]
    return ordered((mask for mask in masks if mask.area), limit)
