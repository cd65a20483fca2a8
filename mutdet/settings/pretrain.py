"""Settings and files of the stage `pretrain`: the box-domain stage on pseudo labels."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mutdet.settings.base import Files, Seed, Settings, Variant
from mutdet.settings.detectors import DetectorSettings
from mutdet.settings.training import TrainingSettings


class PretrainFiles(Files):
    """Train a detector on pseudo labels, with its backbone frozen."""

    tiles: list[Path] = Field([], description="Tables of unlabelled tiles; method `none` reads none.")
    pseudo_labels: list[Path] = Field([], description="Tables of pseudo labels of these tiles; method `none` reads none.")
    backbone: Path = Field(description="Weights of the backbone (backbone.safetensors).")
    output: Path = Field(description="Pre-trained detector (detector.safetensors).")
    log: Path = Field(description="Log table (log.parquet).")
    state: Path = Field(description="Folder that keeps checkpoints to resume from.")


class UntrainedPretrainSettings(Settings):
    """No pre-training: the backbone's weights in a detector that is otherwise as initialised."""

    method: Literal["none"] = Field("none", description="Pre-training method.")
    backbone: Variant = Field("imagenet", description="Variant of `backbone` whose weights are loaded.")
    detector: Variant = Field("r50", description="Detector, by its name under `detectors`.")
    seed: Seed = Field(0, description="Seed of the initial weights.")
    architecture: DetectorSettings = Field(DetectorSettings(), description="The detector's settings; the workflow fills them in from `detectors`.")


class MutdetPretrainSettings(TrainingSettings):
    """MutDet: mutual enhancement, contrastive alignment, siamese branch (docs/method.md C)."""

    method: Literal["mutdet"] = Field("mutdet", description="Pre-training method.")
    codebook: Variant = Field("k256", description="Variant of `codebook` whose pseudo labels are read.")
    backbone: Variant = Field("imagenet", description="Variant of `backbone` whose weights are loaded and frozen.")
    datasets: list[Variant] = Field([], description="Data sets whose tiles are read; all where the list is empty.")
    detector: Variant = Field("r50", description="Detector, by its name under `detectors`.")
    architecture: DetectorSettings = Field(DetectorSettings(), description="The detector's settings; the workflow fills them in from `detectors`.")
    enhancement_layers: int = Field(3, description="Layers of the mutual enhancement module.", ge=1, le=12)
    enhancement_width: int = Field(2048, description="Hidden width of its multilayer perceptrons.", ge=8)
    embedding_width: int = Field(1024, description="Hidden width of the perceptron that turns enhanced tokens into embeddings.", ge=8)
    temperature: float = Field(0.2, description="Temperature of the contrastive alignment.", gt=0.0)
    alignment_weight: float = Field(1.0, description="Weight of each of the five terms of the contrastive alignment.", ge=0.0)


PretrainSettings = Annotated[MutdetPretrainSettings | UntrainedPretrainSettings, Field(discriminator="method")]
