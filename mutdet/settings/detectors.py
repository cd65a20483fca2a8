"""Architecture and losses of a detector; defaults are ARS-DETR's with ResNet-50 (docs/method.md B)."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from mutdet.settings.base import Fraction, Settings
from mutdet.settings.registries import DETECTORS

NORM_GROUPS = 32
"""Groups of the neck's group normalisation; the width is a multiple of it."""

Backbone = Literal["resnet18", "resnet50", "resnet101", "swin_t"]


class DetectorSettings(Settings):
    """Two-stage deformable DETR for rotated boxes; angle bins and denoising are of `ars_detr` alone."""

    kind: str = Field(
        "ars_detr",
        description="Detector, by its name in the registry: ars_detr, or deformable_detr, which regresses the angle and lacks ARS-DETR's additions.",
        json_schema_extra={"enum": list(DETECTORS)},
    )
    backbone: Backbone = Field("resnet50", description="Convolutional or Swin backbone that gives features of stride 8, 16 and 32.")
    levels: int = Field(4, ge=3, le=6, description="Levels of the feature pyramid; the first three come from the backbone, each further one halves the last.")
    width: int = Field(256, ge=NORM_GROUPS, description="Channels of tokens and queries; a multiple of 32 and of twice the heads.")
    heads: int = Field(8, ge=1, description="Heads of every attention.")
    points: int = Field(4, ge=1, description="Sampling points per head and level of deformable attention.")
    feed_forward: int = Field(1024, ge=1, description="Hidden channels of the feed-forward blocks.")
    encoder_layers: int = Field(6, ge=1, description="Layers of the encoder.")
    decoder_layers: int = Field(6, ge=1, description="Layers of the decoder.")
    queries: int = Field(300, ge=1, description="Queries of the decoder: the most objects that an image can give.")
    dropout: float = Field(0.1, ge=0.0, lt=1.0, description="Dropout in encoder and decoder.")
    angle_bins: int = Field(180, ge=2, description="Classes of the angle; 180 bins are one degree each.")

    denoising_queries: int = Field(100, ge=0, description="Denoising groups = this over the most objects of an image in the batch, at least 1; 0 turns it off.")
    denoising_label_noise: Fraction = Field(0.25, description="Share of denoising queries whose class is drawn at random.")
    denoising_box_noise: Fraction = Field(
        0.4, description="Largest shift of a side of positive denoising boxes, in half sides; up to twice as much in negatives."
    )
    denoising_angle_noise: Fraction = Field(0.02, description="Largest turn of positive denoising boxes, in right angles; up to twice as much in negatives.")

    class_cost: float = Field(2.0, ge=0.0, description="Weight of the focal cost in matching.")
    box_cost: float = Field(2.0, ge=0.0, description="Weight of the L1 distance of normalised boxes in matching.")
    giou_cost: float = Field(5.0, ge=0.0, description="Weight of the generalised IoU of unrotated boxes in matching.")
    angle_cost: float = Field(2.0, ge=0.0, description="Weight of the angle's distance in matching: cross-entropy of bins, or difference in half turns.")

    class_weight: float = Field(2.0, ge=0.0, description="Weight of the focal loss.")
    box_weight: float = Field(2.0, ge=0.0, description="Weight of the L1 loss of normalised boxes.")
    giou_weight: float = Field(5.0, ge=0.0, description="Weight of the generalised IoU loss of unrotated boxes.")
    angle_weight: float = Field(2.0, ge=0.0, description="Weight of the same as a loss.")

    @field_validator("kind")
    @classmethod
    def _kind_is_known(cls, kind: str) -> str:
        if kind not in DETECTORS:
            raise ValueError(f"{kind!r} is unknown; choose one of {', '.join(sorted(DETECTORS))}")
        return kind

    @model_validator(mode="after")
    def _width_divides(self) -> Self:
        if self.width % NORM_GROUPS or self.width % (2 * self.heads):
            raise ValueError(f"width {self.width} is no multiple of {NORM_GROUPS} and of twice the {self.heads} heads")
        return self
