"""Masks of segment-anything's own generator, for its crop layers and its removal of small regions."""

from typing import Any

from segment_anything import SamAutomaticMaskGenerator
from segment_anything.modeling import Sam
from segment_anything.utils.amg import MaskData

from mutdet.proposals.mask import Image, Mask, ordered
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
        self._settings = settings
        self._generator = _Generator(sam, output_mode="coco_rle", **{name: getattr(settings, name) for name in _SHARED})

    def generate(self, image: Image, tile_id: str) -> list[Mask]:
        """Masks of an RGB image [H, W, 3]; see `MaskGenerator.generate`."""
        found = (_mask(record) for record in self._generator.generate(image))
        return ordered((mask for mask in found if mask.area), self._settings.max_masks)


def _mask(record: dict) -> Mask:
    height, width = record["segmentation"]["size"]
    x, y = record["point_coords"][0]
    return Mask(
        size=(height, width),
        counts=record["segmentation"]["counts"].encode(),
        area=record["area"],
        bbox=tuple(record["bbox"]),
        predicted_iou=record["predicted_iou"],
        stability_score=record["stability_score"],
        point=(x, y),
    )
