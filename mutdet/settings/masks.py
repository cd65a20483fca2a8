"""Settings of stage masks: class-agnostic masks of a tile."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mutdet.settings.base import Files, Fraction, Seed, Settings


class SamSettings(Settings):
    """Automatic masks of a Segment Anything model; defaults are segment-anything's stock ones (docs/method.md A)."""

    generator: Literal["sam"] = Field("sam", description="Segment Anything, prompted by points.")
    model: Literal["small", "vit_h", "vit_l", "vit_b"] = Field("small", description="Architecture; small is the project's own and comes with weights.")
    weights: Path | None = Field(None, description="Checkpoint: .pth of segment-anything, or .safetensors; none: the weights in the package (small only).")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the checkpoint, verified before it is read.")
    decoder: Literal["stock", "fused"] = Field(
        "stock", description="stock: segment-anything's layers, bit by bit; fused: the same function with folded projections, equal up to rounding, faster."
    )
    points_per_side: int = Field(32, ge=0, le=256, description="Prompts along each side of a regular grid; 0: no grid.")
    peaks: int = Field(0, ge=0, le=4096, description="Prompts, at most, at peaks of the small model's map of object centres, beside the grid; 0: none.")
    peak_thresh: Fraction = Field(0.1, description="Lowest height of a peak that is prompted, 0 to 1.")
    points_per_batch: int = Field(64, ge=1, description="Prompts decoded at a time: memory against speed.")
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
    def uses_stock_generator(self) -> bool:
        """Whether crops or small regions are asked for, which segment-anything's own generator takes care of."""
        return self.crop_n_layers > 0 or self.min_mask_region_area > 0

    def _check_stock_generator(self) -> None:
        if self.uses_stock_generator and (self.peaks or self.decoder != "stock" or not self.points_per_side):
            raise ValueError("crop_n_layers and min_mask_region_area work with the stock decoder, a grid and no peaks")


class SelectiveSearchSettings(Settings):
    """Selective search (Uijlings et al., IJCV 2013): horizontal boxes of segments merged from fine to coarse."""

    generator: Literal["selective_search"] = Field("selective_search", description="Selective search, as DETReg and AlignDet use it.")
    strategy: Literal["fast", "quality"] = Field("fast", description="Colour spaces and merging strategies that are tried: some, or all.")
    base_k: int = Field(150, ge=1, description="Size of the first segments: larger k, larger segments.")
    step_k: int = Field(150, ge=1, description="Step to the next k.")
    sigma: float = Field(0.8, ge=0.0, description="Smoothing before the first segmentation, pixels.")
    resize: int | None = Field(None, ge=16, description="Longest side that a larger tile is reduced to before the search, pixels; none: as it is.")
    min_side: int = Field(4, ge=1, description="Shorter side of the smallest box, tile pixels.")
    max_proposals: int | None = Field(300, ge=1, description="Boxes kept for a tile, in the search's own ranking; none: all.")
    seed: Seed = Field(0, description="Of the ranking, which is random as in the paper: place in the hierarchy times a random number.")


MasksSettings = Annotated[SamSettings | SelectiveSearchSettings, Field(discriminator="generator")]


class MasksFiles(Files):
    """Find class-agnostic masks in tiles."""

    tiles: Path = Field(description="Table of tiles.")
    output: Path = Field(description="Table of masks to write.")
