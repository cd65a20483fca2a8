"""Table of precision-recall curves: one row per counted detection."""

import pyarrow as pa

from mutdet.tables.fields import FLOAT, field

KEY = ["category", "threshold", "recall"]
SCHEMA = pa.schema(
    [
        field("category", pa.string(), "name of the class"),
        field("threshold", pa.float64(), "IoU that must be exceeded"),
        field("recall", FLOAT, "share of the positives found with this score or more, 0 to 1"),
        field("precision", FLOAT, "share of the detections with this score or more that are right, 0 to 1"),
        field("score", FLOAT, "of the detection; falls within a category and threshold"),
    ]
)
