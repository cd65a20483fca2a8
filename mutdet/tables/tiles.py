"""Table of tiles: windows of source images, with their pixels."""

import pyarrow as pa

from mutdet.tables.fields import DATASET, FLOAT, IMAGE_ID, POLYGON, TILE_ID, field

KEY = ["tile_id"]
ROWS_PER_GROUP = 16
LABEL = pa.struct([pa.field("polygon", POLYGON), pa.field("category", pa.string()), pa.field("difficulty", pa.int32())])
SCHEMA = pa.schema(
    [
        TILE_ID,
        DATASET,
        IMAGE_ID,
        field("x", pa.int32(), "left edge, source pixels"),
        field("y", pa.int32(), "top edge, source pixels"),
        field("width", pa.int32(), "of the encoded image, pixels"),
        field("height", pa.int32(), "of the encoded image, pixels"),
        field("scale", FLOAT, "tile pixels per source pixel"),
        field("content_fraction", FLOAT, "share of the tile where the source image holds data, in (0, 1]"),
        field("image", pa.binary(), "PNG, RGB, 8 bit"),
        field("labels", pa.list_(LABEL), "whole polygons in tile pixels; empty in split unlabelled"),
    ]
)
