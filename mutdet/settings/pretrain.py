"""Settings and files of the stage `pretrain`: the box-domain stage on pseudo labels."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from mutdet.settings.base import Files, Seed, Settings, Variant
from mutdet.settings.detectors import DetectorSettings
from mutdet.settings.plugins import OneOf
from mutdet.settings.registries import PRETRAINING_METHODS
from mutdet.settings.training import BoxTrainingSettings, TrainingSettings


class PretrainFiles(Files):
    """Train a detector on pseudo labels, with its backbone frozen."""

    written = ("output", "log")

    tiles: list[Path] = Field([], description="Tables of unlabelled tiles; method `none` reads none.")
    pseudo_labels: list[Path] = Field([], description="Tables of pseudo labels of these tiles, for methods that learn from them.")
    backbone: Path = Field(description="Weights of the backbone (backbone.safetensors).")
    output: Path = Field(description="Pre-trained detector (detector.safetensors).")
    log: Path = Field(description="Log table (log.parquet).")
    state: Path = Field(description="Folder that keeps checkpoints to resume from.")


class PretrainMethodSettings(Settings):
    """What the settings of every pre-training method have; each narrows `method` to its own name."""

    method: str = Field(description="Pre-training method, by its name in the registry.")
    backbone: Variant = Field("imagenet", description="Variant of `backbone` whose weights are loaded, and frozen in a training.")
    detector: Variant = Field("r50", description="Detector, by its name under `detectors`.")
    seed: Seed = Field(0, description="Seed of the initial weights.")
    architecture: DetectorSettings = Field(DetectorSettings(), description="The detector's settings; the workflow fills them in from `detectors`.")


class TrainedPretrainSettings(TrainingSettings, PretrainMethodSettings):
    """What the settings of every method that trains on unlabelled tiles have."""

    datasets: list[Variant] = Field([], description="Data sets whose tiles are read; all where the list is empty.")


class PseudoLabelPretrainSettings(BoxTrainingSettings, TrainedPretrainSettings):
    """What the settings of every method that trains on pseudo labels have."""

    codebook: Variant = Field("k256", description="Variant of `codebook` whose pseudo labels are read.")
    boxes_per_tile: int | None = Field(
        None, description="Pseudo boxes of a tile that count, highest score first; never more than the detector has queries; none: as many.", ge=1
    )

    @property
    def uses_embeddings(self) -> bool:
        """Whether targets carry embeddings, as long as the detector is wide; otherwise they are not kept in memory."""
        return False

    @property
    def most_boxes(self) -> int:
        """Largest number of pseudo boxes of a tile."""
        return min(self.boxes_per_tile or self.architecture.queries, self.architecture.queries)


PretrainSettings = Annotated[PretrainMethodSettings, OneOf("method", PRETRAINING_METHODS)]
