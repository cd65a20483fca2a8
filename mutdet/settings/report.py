"""Settings of the report page."""

from pathlib import Path

from pydantic import Field

from mutdet.settings.base import Files, Seed, Settings


class ReportSettings(Settings):
    """What the page shows; more pictures make a larger page."""

    tiles: int = Field(5, ge=0, le=50, description="Tiles that the pictures of masks, boxes, pseudo-classes and detections show, of each data set.")
    clusters: int = Field(24, ge=0, le=256, description="Clusters whose crops are shown, largest first.")
    crops: int = Field(10, ge=1, le=50, description="Crops of each cluster, the most typical first.")
    crop_side: int = Field(64, ge=16, le=256, description="Side of a crop, pixels.")
    picture_side: int = Field(384, ge=64, le=1024, description="Longer side of a tile's picture, pixels.")
    seed: Seed = Field(0, description="Seed of the choice of tiles.")
    baseline: str = Field("none", description="Pre-training method that gains are measured against.")
    budgets: dict[str, float] = Field({}, description="Seconds that each stage is expected to take, shown beside the time taken.")


class ReportFiles(Files):
    """Write one self-contained HTML page about a run."""

    run: Path = Field(description="Folder of the run (results/<run>).")
    output: Path = Field(description="Page to write (index.html).")
