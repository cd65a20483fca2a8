"""Settings and files of the stage `finetune`: supervised training on a share of the labelled images."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from mutdet.settings.base import Files, Seed, Variant
from mutdet.settings.training import BoxTrainingSettings


class FinetuneFiles(Files):
    """Train a pre-trained detector on labelled tiles."""

    written = ("output", "log")

    tiles: list[Path] = Field(description="Tables of labelled tiles of split train.")
    images: Path = Field(description="Table of the data set's images.")
    labels: Path = Field(description="Table of the data set's labels in source pixels.")
    detector: Path = Field(description="Detector to begin with (detector.safetensors).")
    output: Path = Field(description="Fine-tuned detector (detector.safetensors).")
    log: Path = Field(description="Log table (log.parquet).")
    state: Path = Field(description="Folder that keeps checkpoints to resume from.")


class FinetuneSettings(BoxTrainingSettings):
    """Supervised training; `epochs: 0` keeps the pre-trained detector and gives its boxes the one category `object`."""

    pretrain: Variant = Field("none", description="Variant of `pretrain` to begin with.")
    dataset: Variant = Field("scenes", description="Labelled data set.")
    fraction: float = Field(1.0, description="Share of the source images of split train whose labels are used.", gt=0.0, le=1.0)
    subset_seed: Seed = Field(0, description="Seed of the choice of these images.")
    ignore_categories: list[str] = Field([], description="Categories that are no class and give no target; the workflow fills them in from `datasets`.")
    backbone_training: Literal["auto", "nothing", "upper", "all"] = Field(
        "auto",
        description="What of the backbone trains: `nothing` (fastest on a CPU, where features of tiles that come again are kept), `upper` (all but stem, first "
        "stage and batch normalisation), `all`; `auto` is `upper` for ImageNet's weights and `all` for any other.",
    )
    statistics_tiles: int = Field(
        200, description="Tiles from which the batch-norm statistics of a backbone that is not ImageNet's are estimated before the training.", ge=1
    )

    @property
    def uses_gpu(self) -> bool:
        """Whether anything is trained."""
        return self.epochs != 0
