"""Table of masks of a tile."""

import pyarrow as pa

from mutdet.tables.fields import FLOAT, MASK_ID, TILE_ID, field

KEY = ["tile_id", "mask_id"]
SCHEMA = pa.schema(
    [
        TILE_ID,
        MASK_ID,
        field("size", pa.list_(pa.int32(), 2), "height and width of the tile, pixels"),
        field("counts", pa.binary(), "COCO compressed run-length code"),
        field("area", pa.int32(), "pixels of the mask"),
        field("bbox", pa.list_(FLOAT, 4), "x y w h of the mask's horizontal box: corners' pixels, as segment-anything gives them (XYWH)"),
        field("predicted_iou", FLOAT, "the generator's own estimate of the mask's quality, 0 to 1"),
        field("stability_score", FLOAT, "IoU between the mask cut at a higher and a lower threshold, 0 to 1"),
        field("point", pa.list_(FLOAT, 2), "x y of the prompt, tile pixels; centre of the box where there was none"),
    ]
)
