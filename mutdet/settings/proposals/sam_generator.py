"""Settings of mask generator `sam`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from mutdet.settings.base import Fraction
from mutdet.settings.masks import MaskGeneratorSettings

SMALL_WEIGHTS = Path(__file__).parents[2] / "proposals" / "weights" / "small_sam.safetensors"
"""Weights of the project's own small model."""


class SamSettings(MaskGeneratorSettings):
    """Automatic masks of a Segment Anything model; defaults are segment-anything's stock ones (docs/method.md A)."""

    generator: Literal["sam"] = Field("sam", description="Segment Anything, prompted by points.")
    model: Literal["small", "vit_h", "vit_l", "vit_b"] = Field("small", description="Architecture; small is the project's own and comes with weights.")
    weights: Path | None = Field(None, description="Checkpoint: .pth of segment-anything, or .safetensors; none: the weights in the package (small only).")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the checkpoint, verified before it is read.")
    decoder: Literal["stock", "fused"] = Field(
        "stock", description="stock: segment-anything's layers, bit by bit; fused: the same function with folded projections, equal up to rounding, faster."
    )
    encoder: Literal["stock", "fused"] = Field(
        "stock", description="Attention of the vision transformers; stock: segment-anything's layers, bit by bit; fused: without attention maps in memory."
    )
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32",
        description="Of the networks; masks are enlarged and cut in float32. "
        "A processor without instructions for bfloat16 computes float32, and the log says so.",
    )
    compile: bool = Field(False, description="Compile the image encoder: a minute or more at the start, faster for many tiles.")
    tiles_per_batch: int = Field(1, ge=1, description="Tiles encoded at a time; more than one changes results by rounding.")
    points_per_side: int = Field(32, ge=0, le=256, description="Prompts along each side of a regular grid; 0: no grid.")
    peaks: int = Field(0, ge=0, le=4096, description="Prompts, at most, at peaks of the small model's map of object centres, beside the grid; 0: none.")
    peak_thresh: Fraction = Field(0.1, description="Lowest height of a peak that is prompted, 0 to 1.")
    points_per_batch: int | None = Field(64, ge=1, description="Prompts decoded at a time: memory against speed; none: as many as memory allows.")
    pred_iou_thresh: Fraction = Field(0.88, description="Masks stay whose predicted IoU is greater; 0: all.")
    stability_score_thresh: Fraction = Field(0.95, description="Masks stay whose IoU between a higher and a lower cut is at least this; 0: all.")
    stability_score_offset: float = Field(1.0, ge=0.0, description="Distance of those two cuts from the mask's own, logits.")
    box_nms_thresh: Fraction = Field(0.7, description="A mask goes if its horizontal box has a greater IoU with one of higher predicted IoU.")
    crop_n_layers: int = Field(0, ge=0, le=4, description="Further runs on crops of the tile, layer i on 4^i crops; windows of stage partition serve better.")
    crop_nms_thresh: Fraction = Field(0.7, description="IoU of horizontal boxes above which masks of different crops count as one.")
    crop_overlap_ratio: float = Field(512 / 1500, ge=0.0, lt=1.0, description="Overlap of crops as a share of the tile's side.")
    crop_n_points_downscale_factor: int = Field(1, ge=1, description="In layer i the grid has points_per_side / factor^i points a side.")
    min_mask_region_area: int = Field(0, ge=0, description="Islands and holes smaller than this are removed, pixels; 0: none.")
    max_masks: int | None = Field(None, ge=1, description="Masks of highest predicted IoU kept for a tile; none: all.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.weights is None and self.model != "small":
            raise ValueError(f"model {self.model} needs weights: the path of its checkpoint")
        if (self.weights is None) != (self.sha256 is None):
            raise ValueError("weights and sha256 go together: the hash says which checkpoint the results come from")
        if self.points_per_side == 0 and self.peaks == 0:
            raise ValueError("points_per_side and peaks are both 0: no prompt is left")
        if self.peaks and self.model != "small":
            raise ValueError(f"peaks need model small: {self.model} has no map of object centres")
        self._check_stock_generator()
        return self

    @property
    def weights_file(self) -> Path:
        """Weights that the generator loads: the checkpoint, or those in the package."""
        return self.weights or SMALL_WEIGHTS

    @property
    def uses_stock_generator(self) -> bool:
        """Whether small regions are to go, which segment-anything's own generator takes care of."""
        return self.min_mask_region_area > 0

    def _check_stock_generator(self) -> None:
        fast = self.peaks or self.points_per_batch is None or "fused" in (self.decoder, self.encoder) or self.compile or self.precision != "float32"
        if self.uses_stock_generator and fast:
            raise ValueError("min_mask_region_area works with the stock encoder and decoder in float32, a fixed points_per_batch and no peaks")
        if self.crop_n_layers and self.points_per_side // self.crop_n_points_downscale_factor**self.crop_n_layers == 0 and not self.peaks:
            raise ValueError("crop_n_points_downscale_factor leaves no prompt in the smallest crops: lower it, or crop_n_layers")
