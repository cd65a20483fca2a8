"""Table of a data set's labels, in pixels of the source images."""

import pyarrow as pa

from mutdet.tables.fields import DATASET, IMAGE_ID, POLYGON_FIELD, field

KEY = ["dataset", "image_id", "label_id"]
SCHEMA = pa.schema(
    [
        DATASET,
        IMAGE_ID,
        field("label_id", pa.int32(), "position in the label file, from 0"),
        POLYGON_FIELD,
        field("category", pa.string(), "name of the class"),
        field("difficulty", pa.int32(), "0 normal, 1 difficult, 2 truncated by a window"),
    ]
)
