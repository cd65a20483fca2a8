"""Table of rotated boxes of masks, in tile pixels."""

import pyarrow as pa

from mutdet.tables.fields import BOX, FLOAT, MASK_ID, POLYGON_FIELD, TILE_ID, field

KEY = ["tile_id", "mask_id"]
SCHEMA = pa.schema(
    [
        TILE_ID,
        MASK_ID,
        *BOX,
        POLYGON_FIELD,
        field("mask_area", pa.int32(), "pixels of the mask"),
        field("fill", FLOAT, "mask_area / (w h)"),
        field("score", FLOAT, "predicted_iou times stability_score of the mask, 0 to 1"),
    ]
)
