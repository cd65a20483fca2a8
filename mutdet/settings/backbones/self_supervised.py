"""Settings that all self-supervised backbone methods share."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from mutdet.settings.backbone import BackboneMethodSettings
from mutdet.settings.backbones.views import ViewSettings
from mutdet.settings.base import Variant
from mutdet.settings.loop import LoopSettings

REFERENCE_BATCH = 256
"""Batch that learning rates are given for; papers scale them in proportion to the batch."""


class SelfSupervisedSettings(BackboneMethodSettings, LoopSettings, ViewSettings):
    """Training on unlabelled tiles: length, views, optimiser, schedule, precision."""

    reads_tiles: ClassVar[bool] = True
    trains: ClassVar[bool] = True
    batch: int = Field(256, description="Tiles per optimiser step.", ge=2)
    accumulate: int = Field(1, description="Parts that a batch is passed in, one after the other, to save memory; normalisation sees a part at a time.", ge=1)
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        "float32",
        description="Arithmetic of forward passes; weights, losses and transport plans stay in float32. float16 needs CUDA; "
        "a processor without instructions for bfloat16 computes float32, and the log says so.",
    )
    optimiser: Literal["lars", "sgd", "adamw"] = Field("sgd", description="LARS and SGD with momentum, or AdamW.")
    learning_rate: float = Field(0.2, description=f"Step size after warm-up for a batch of {REFERENCE_BATCH}; scaled in proportion to the batch.", gt=0.0)
    momentum: float = Field(0.9, description="Momentum of LARS and SGD.", ge=0.0, lt=1.0)
    weight_decay: float = Field(1e-4, description="Weight decay.", ge=0.0)
    decayed: Literal["all", "weights"] = Field("all", description="What decays: all parameters, or all but biases and those of normalisation.")
    trust_coefficient: float = Field(1e-3, description="LARS: length of a layer's step as a share of the length of its weights.", gt=0.0)
    warmup_epochs: float = Field(0.0, description="Passes over the tiles in which the learning rate rises from 0, but at most a tenth of the training.", ge=0.0)
    probe_dataset: Variant | None = Field(
        None, description="Data set whose labelled tiles give a nearest-neighbour accuracy in the log; none reads no label. Changes no weight."
    )
    probe_split: Literal["train", "val", "test"] = Field("train", description="Its split.")
    probe_objects: int = Field(1000, description="Labelled objects that it looks at, at most.", ge=2)
    probe_neighbours: int = Field(10, description="Neighbours from other images that vote.", ge=1)
    probe_every: int = Field(1000, description="Steps between two such figures; the last step has one too.", ge=1)

    @model_validator(mode="after")
    def _parts_are_equal(self) -> Self:
        if self.batch % self.accumulate or self.batch // self.accumulate < 2:
            raise ValueError(f"batch {self.batch} must be a multiple of accumulate {self.accumulate} with at least 2 tiles a part: normalisation needs two")
        return self

    def scaled_learning_rate(self) -> float:
        """Learning rate after warm-up for this batch."""
        return self.learning_rate * self.batch / REFERENCE_BATCH

    def warmup_steps(self, tiles: int) -> int:
        """Steps of the warm-up of a training on so many tiles."""
        return min(round(self.warmup_epochs * tiles / self.batch), self.total_steps(tiles) // 10)
