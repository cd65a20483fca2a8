"""Settings and files of the stage `evaluate`: average precision, recall and submission files."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from mutdet.settings.base import Files, Fraction, Seed, Settings

Threshold = Annotated[float, Field(ge=0.0, lt=1.0)]
COCO_THRESHOLDS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]
"""IoU thresholds whose mean is written as 0.5:0.95."""


class EvaluateFiles(Files):
    """Compare detections of whole images with labels: our tables, or foreign results in DOTA's text formats."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)
    written = ("output", "curves", "json_output", "submission")

    detections: Path = Field(description="Table of merged detections, or a folder of Task1_<class>.txt files.")
    labels: Path = Field(description="Table of labels, or a folder of DOTA label files <image id>.txt.")
    images: Path = Field(description="Table of images, or a text file with one image id a line.")
    output: Path | None = Field(None, description="Table of metrics (evaluation.parquet).")
    curves: Path | None = Field(None, description="Table of precision-recall curves (curves.parquet).")
    json_output: Path | None = Field(None, alias="json", description="JSON file of AP by metric and threshold, such as voc07@0.5.")
    submission: Path | None = Field(None, description="Folder that receives Task1_<class>.txt files.")

    @model_validator(mode="after")
    def _writes_distinct_files(self) -> "EvaluateFiles":
        if not any((self.output, self.curves, self.json_output, self.submission)):
            raise ValueError("nothing to write; name at least one of output, curves, json, submission")
        if self.output and self.json_output == self.output.with_suffix(".json"):
            raise ValueError(f"{self.json_output} will hold the settings behind {self.output}; give json another name")
        return self


class EvaluateSettings(Settings):
    """Evaluation as DOTA's own code does it, and class-agnostic recall; the facts only label the rows.
    A config file leaves out these, `split` and `ignore_categories`: the workflow takes them from `finetune`, `detect` and `datasets`.
    """

    split: Literal["train", "val", "test"] = Field("val", description="Split of the image table that is evaluated.")
    metrics: list[Literal["voc07", "area"]] = Field(["voc07", "area"], description="Kinds of average precision: voc07 (11 points), area (under the curve).")
    thresholds: list[Threshold] = Field(COCO_THRESHOLDS, description="IoU thresholds of AP; with all of 0.5, 0.55 ... 0.95 their mean is added.", min_length=1)
    shown_thresholds: list[Threshold] = Field([0.5, 0.75], description="Those of them that go into the JSON file and the table of curves.")
    recall_boxes: int = Field(100, description="Boxes of each image, best first, that count for class-agnostic recall.", ge=1)
    recall_thresholds: list[Threshold] = Field([0.5, 0.7, 0.75, 0.8], description="IoU thresholds of class-agnostic recall.")
    ignore_categories: list[str] = Field([], description="Categories that are no class; their regions absorb detections that match nothing.")
    ignore_share: Fraction = Field(0.5, description="Share of a detection's area inside an ignored region above which it is absorbed.")
    experiment: str = Field("", description="Name of the experiment; labels the rows.")
    dataset: str = Field("", description="Name of the data set; labels the rows.")
    pretrain: str = Field("", description="Pre-training method; labels the rows.")
    fraction: float | None = Field(None, description="Share of the labelled images trained on; labels the rows.", ge=0, le=1)
    seed: Seed | None = Field(None, description="Seed of the fine-tuning; labels the rows.")
    epochs: int | None = Field(None, description="Length of the fine-tuning in epochs; labels the rows.", ge=0)
    iterations: int | None = Field(None, description="Length of the fine-tuning in steps, where that is given instead; labels the rows.", ge=0)

    @model_validator(mode="after")
    def _shown_are_computed(self) -> "EvaluateSettings":
        extra = sorted(set(self.shown_thresholds) - set(self.thresholds))
        if extra:
            raise ValueError(f"shown_thresholds {extra} are not among the thresholds {self.thresholds}")
        return self
