"""Table of a data set's source images."""

import pyarrow as pa

from mutdet.tables.fields import DATASET, IMAGE_ID, field

KEY = ["dataset", "image_id"]
SCHEMA = pa.schema(
    [
        DATASET,
        IMAGE_ID,
        field("split", pa.list_(pa.string()), "splits that hold the image, in alphabetical order"),
        field("path", pa.string(), "file as found, relative to the working folder where it lies below it"),
        field("width", pa.int32(), "pixels as stored"),
        field("height", pa.int32(), "pixels as stored"),
        field("bands", pa.int32(), "bands as stored"),
        field("sha256", pa.string(), "of the file"),
        field("crs", pa.string(), "coordinate reference system as WKT", nullable=True),
        field("transform", pa.list_(pa.float64(), 6), "affine transform a b c d e f from pixels to the crs", nullable=True),
    ]
)
