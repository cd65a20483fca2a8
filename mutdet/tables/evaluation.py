"""Table of an evaluation: one row per metric, IoU threshold and class, with the experiment's facts in every row."""

import pyarrow as pa

from mutdet.tables.fields import field

KEY = ["experiment", "metric", "threshold", "category"]
MEAN = "mean"
"""Category of the mean over all classes that have positives."""
ALL = "all"
"""Category of figures that know no classes."""
VOC07, AREA = "voc07", "area"
"""Metrics with an average precision."""
EXPERIMENT = [
    field("experiment", pa.string(), "name of the experiment: variant of finetune"),
    field("dataset", pa.string(), "data set evaluated on"),
    field("split", pa.string(), "its split"),
    field("pretrain", pa.string(), "pre-training method"),
    field("fraction", pa.float64(), "share of the labelled images trained on", nullable=True),
    field("seed", pa.int64(), "seed of the fine-tuning", nullable=True),
    field("epochs", pa.int64(), "length of the fine-tuning in epochs", nullable=True),
    field("iterations", pa.int64(), "length of the fine-tuning in steps, where that was given instead", nullable=True),
]
SCHEMA = pa.schema(
    [
        *EXPERIMENT,
        field("metric", pa.string(), "voc07 (11 points), area, or recall@<boxes> (class-agnostic, the best boxes of each image)"),
        field("threshold", pa.float64(), "IoU that must be exceeded; null: mean over 0.5, 0.55 ... 0.95", nullable=True),
        field("category", pa.string(), "name of the class, `mean` over the classes, or `all` objects without regard to class"),
        field("ap", pa.float64(), "average precision, 0 to 1; null without positives and for recall", nullable=True),
        field("recall", pa.float64(), "share of the positives found, 0 to 1; null without positives", nullable=True),
        field("positives", pa.int64(), "labelled objects that are not difficult"),
    ]
)


def recall_metric(boxes: int) -> str:
    """Name of the class-agnostic recall of the best `boxes` boxes of each image."""
    return f"recall@{boxes}"
