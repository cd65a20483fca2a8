"""Table of experiments side by side: one row per experiment, seeds taken together."""

import pyarrow as pa

from mutdet.tables.fields import field

KEY = ["experiment", "dataset", "split"]
MEASURES = {
    "voc07_ap50": "AP (VOC07, 11 points) at IoU 0.5, mean over classes",
    "voc07_ap75": "AP (VOC07, 11 points) at IoU 0.75, mean over classes",
    "voc07_ap50_95": "AP (VOC07, 11 points), mean over IoU 0.5, 0.55 ... 0.95 and classes",
    "area_ap50": "AP (area under the curve) at IoU 0.5, mean over classes",
    "area_ap75": "AP (area under the curve) at IoU 0.75, mean over classes",
    "area_ap50_95": "AP (area under the curve), mean over IoU 0.5, 0.55 ... 0.95 and classes",
    "recall_50": "class-agnostic recall of the best boxes of each image at IoU 0.5",
}
PUBLISHED = {"voc07_ap50": "ap50", "voc07_ap75": "ap75"}
"""Measures that a paper prints -> settings field of its figures."""
SCHEMA = pa.schema(
    [
        field("experiment", pa.string(), "variant of finetune, without a seed at its end (-s0) where there is one"),
        field("dataset", pa.string(), "data set evaluated on"),
        field("split", pa.string(), "its split"),
        field("pretrain", pa.string(), "pre-training method"),
        field("fraction", pa.float64(), "share of the labelled images trained on", nullable=True),
        field("epochs", pa.int64(), "length of the fine-tuning in epochs; 0 is the detector before fine-tuning", nullable=True),
        field("iterations", pa.int64(), "length of the fine-tuning in steps, where that was given instead", nullable=True),
        field("seeds", pa.int64(), "fine-tunings that the means are over"),
        field("recall_boxes", pa.int64(), "boxes of each image that count for recall", nullable=True),
        *(
            column
            for name, meaning in MEASURES.items()
            for column in (
                field(name, pa.float64(), f"{meaning}, 0 to 1; mean over seeds", nullable=True),
                field(f"{name}_spread", pa.float64(), "standard deviation over seeds; null for one seed", nullable=True),
                field(f"{name}_gain", pa.float64(), "difference to the row without pre-training that is like it otherwise", nullable=True),
            )
        ),
        *(field(f"{name}_paper", pa.float64(), f"{MEASURES[name]}, 0 to 1, in the paper under this setting", nullable=True) for name in PUBLISHED),
    ]
)
