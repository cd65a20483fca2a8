"""Settings of pre-training method `detreg`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from mutdet.settings.pretrain import PseudoLabelPretrainSettings
from mutdet.settings.pretraining.patches import PatchSettings


class DetRegPretrainSettings(PatchSettings, PseudoLabelPretrainSettings):
    """DETReg: pseudo boxes of one class, and embeddings of what they hold (docs/method.md G); defaults are MutDet's baseline of it."""

    method: Literal["detreg"] = Field("detreg", description="DETReg.")
    target: Literal["embedding", "features"] = Field(
        "embedding", description="What states predict: the pseudo label's unit embedding, or the frozen backbone's mean features of an augmented patch."
    )
    feature_stride: Literal[8, 16, 32] = Field(8, description="Stride of those features; DETReg takes 8, the backbone's second stage.")
    distance: Literal["l1", "l2"] = Field("l2", description="l1: mean over components of absolute differences; l2: sum of squared ones.")
    embedding_weight: float = Field(1.0, description="Weight of the distance, for decoder and denoising queries each.", ge=0.0)
    boxes: Literal["own", "another_tile"] = Field(
        "own",
        description="Boxes of the tile, the best `boxes_per_tile` of them; or those of the tile before it in its part of the batch, which fit by chance.",
    )

    @property
    def uses_embeddings(self) -> bool:
        """Where they are what states predict."""
        return self.target == "embedding"

    @model_validator(mode="after")
    def _boxes_have_a_target(self) -> Self:
        if self.boxes == "another_tile" and self.target == "embedding":
            raise ValueError("boxes: another_tile needs target: features, because pseudo labels hold no embedding of what such a box shows")
        if self.boxes == "another_tile" and self.batch // (self.processes * self.accumulate) < 2:
            raise ValueError("boxes: another_tile needs at least 2 tiles in each part of a batch, which is batch / (processes x accumulate)")
        return self
