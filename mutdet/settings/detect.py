"""Settings and files of the stage `detect`: inference on tiles, and merging to whole images."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from mutdet.settings.base import Files, Fraction, Settings


class DetectTilesFiles(Files):
    """Detect objects in tiles."""

    tiles: Path = Field(description="Table of tiles.")
    detector: Path = Field(description="Fine-tuned detector (detector.safetensors).")
    output: Path = Field(description="Table of detections of single tiles, in source pixels.")


class DetectMergeFiles(Files):
    """Merge the detections of overlapping tiles to whole images."""

    tiles: list[Path] = Field(description="Tables of detections of single tiles.")
    output: Path = Field(description="Table of detections of whole images.")


class DetectSettings(Settings):
    """Inference; ARS-DETR keeps 300 boxes a tile, MutDet's submission cuts them at a score of 0.05 (docs/method.md B)."""

    split: Literal["train", "val", "test"] = Field("val", description="Split whose tiles are read.")
    batch: int = Field(1, description="Tiles per forward pass; with 1, no number depends on how the tiles are cut into shards.", ge=1)
    image_size: int | None = Field(None, description="Longer side of a tile as the detector sees it, pixels; null takes the size it was trained at.", ge=32)
    min_score: Fraction = Field(0.0, description="Detections with a lower score are left out.")
    max_per_tile: int = Field(300, description="Best pairs of query and category of a tile, before duplicates are suppressed.", ge=1)
    tile_nms: Fraction = Field(0.5, description="IoU above which the weaker of two boxes of one category in a tile is dropped; 1 keeps all.")
    merge_nms: Fraction = Field(0.1, description="The same between all tiles of an image.")
    max_per_image: int = Field(2000, description="Detections kept per image, best first.", ge=1)
