"""Settings and files of the stage `report`: which tiles its pictures show, and the page."""

from pathlib import Path

from pydantic import Field

from mutdet.settings.base import Files, Seed, Settings


class ReportTilesSettings(Settings):
    """Which tiles the pictures show."""

    tiles: int = Field(5, ge=0, le=50, description="Tiles that the pictures of masks, boxes, pseudo-classes and detections show, of each data set.")
    seed: Seed = Field(0, description="Seed of the choice of tiles.")


class ReportSettings(ReportTilesSettings):
    """What the page shows; more pictures make a larger page."""

    clusters: int = Field(24, ge=0, le=256, description="Clusters whose crops are shown, largest first.")
    crops: int = Field(10, ge=1, le=50, description="Crops of each cluster, the most typical first.")
    crop_side: int = Field(64, ge=16, le=256, description="Side of a crop, pixels.")
    picture_side: int = Field(384, ge=64, le=1024, description="Longer side of a tile's picture, pixels.")
    baseline: str = Field("none", description="Pre-training method that gains are measured against.")
    budgets: dict[str, float] = Field(
        {},
        description="Seconds that the jobs of each stage are expected to take, added up; shown beside those taken. The workflow fills them in from `budget`.",
    )

    shards: int | None = Field(
        None,
        ge=1,
        description="Shards of the tables that count, where a run holds other cuts; none: all that are there. The workflow fills it in from `shards`.",
    )

    def of_tiles(self) -> ReportTilesSettings:
        """The part of the settings that chooses tiles."""
        return ReportTilesSettings(tiles=self.tiles, seed=self.seed)


class ReportTilesFiles(Files):
    """Choose the tiles of a data set that every picture of the report shows."""

    unlabelled: list[Path] = Field(description="Tables of tiles to choose from, split unlabelled.")
    train: list[Path] = Field([], description="Tables of the tiles of split train; tiles in both that have a label are preferred, and keep their labels.")
    boxes: list[Path] = Field([], description="Tables of boxes; tiles with a box are preferred where no tile has a label.")
    output: Path = Field(description="Table of the chosen tiles to write.")


class ReportPageFiles(Files):
    """Write one self-contained HTML page about a run."""

    run: Path = Field(description="Folder of the run (results/<run>).")
    output: Path = Field(description="Page to write (index.html).")
