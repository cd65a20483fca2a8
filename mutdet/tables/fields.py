"""Columns that several tables share."""

import pyarrow as pa

FLOAT = pa.float32()
POLYGON = pa.list_(pa.float32(), 8)


def field(name: str, kind: pa.DataType, description: str, *, nullable: bool = False) -> pa.Field:
    """Column with its meaning and unit in the metadata."""
    return pa.field(name, kind, nullable=nullable, metadata={"description": description})


TILE_ID = field("tile_id", pa.string(), "<image_id>__<window>__<x>___<y>; key, never parsed")
MASK_ID = field("mask_id", pa.int32(), "number of the mask within its tile, from 0")
DATASET = field("dataset", pa.string(), "name of the data set in the config file")
IMAGE_ID = field("image_id", pa.string(), "file name of the image without its suffix")

BOX = [
    field("cx", FLOAT, "centre, pixels; pixel i covers [i, i + 1)"),
    field("cy", FLOAT, "centre, pixels"),
    field("w", FLOAT, "longer side, pixels"),
    field("h", FLOAT, "shorter side, pixels"),
    field("angle", FLOAT, "radians, le90: in [-pi/2, pi/2), positive clockwise with y down"),
]
POLYGON_FIELD = field("polygon", POLYGON, "corners x1 y1 ... x4 y4, pixels")
