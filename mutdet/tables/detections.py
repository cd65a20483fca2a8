"""Tables of detections: of tiles, and merged to whole images in source pixels."""

import pyarrow as pa

from mutdet.tables.fields import BOX, DATASET, FLOAT, IMAGE_ID, POLYGON_FIELD, TILE_ID, field

KEY = ["image_id"]
_FOUND = [
    POLYGON_FIELD,
    *BOX,
    field("score", FLOAT, "confidence, 0 to 1"),
    field("category", pa.string(), "name of the class"),
]
TILE_SCHEMA = pa.schema([TILE_ID, DATASET, IMAGE_ID, *_FOUND])
SCHEMA = pa.schema([DATASET, IMAGE_ID, *_FOUND])
