"""Masks of segment-anything's own generator, for its removal of small regions."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from segment_anything import SamAutomaticMaskGenerator
from segment_anything.modeling import Sam
from segment_anything.utils.amg import MaskData

from mutdet.proposals.mask import Finish, Image, Mask, Region, ordered
from mutdet.settings.proposals.sam_generator import SamSettings

_SHARED = (
    "points_per_side", "points_per_batch", "pred_iou_thresh", "stability_score_thresh", "stability_score_offset", "box_nms_thresh",
    "crop_n_layers", "crop_nms_thresh", "crop_overlap_ratio", "crop_n_points_downscale_factor", "min_mask_region_area",
)  # fmt: skip


class _Generator(SamAutomaticMaskGenerator):
    def _process_crop(self, *crop: Any) -> MaskData:
        """As in segment-anything, where a crop without masks has boxes of shape [0] that a later step fails on."""
        data = super()._process_crop(*crop)
        data["crop_boxes"] = data["crop_boxes"].reshape(-1, 4)
        return data


class StockMasks:
    """`SamAutomaticMaskGenerator` with the interface of `MaskGenerator`."""

    def __init__(self, sam: Sam, settings: SamSettings) -> None:
        self.tiles_per_batch = 1
        self._settings = settings
        self._generator = _Generator(sam, output_mode="coco_rle", **{name: getattr(settings, name) for name in _SHARED})

    def search(self, images: Sequence[Image], tile_ids: Sequence[str]) -> list[Finish]:
        """Find the masks of RGB images [H, W, 3]; see `MaskGenerator.search`."""
        return [partial(_masks, self._generator.generate(image), self._settings.max_masks) for image in images]


def _masks(records: list[dict[str, Any]], limit: int | None) -> list[Mask]:
    return ordered((mask for mask in map(_mask, records) if mask.area), limit)


def _mask(record: dict[str, Any]) -> Mask:
    height, width = record["segmentation"]["size"]
    region = Region.decoded((height, width), record["segmentation"]["counts"].encode())
    x, y = record["point_coords"][0]
    return Mask((height, width), region, record["predicted_iou"], record["stability_score"], (x, y))
