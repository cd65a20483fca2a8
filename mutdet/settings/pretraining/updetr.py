"""Settings of pre-training method `updetr`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from mutdet.settings.base import Fraction
from mutdet.settings.pretrain import TrainedPretrainSettings
from mutdet.settings.pretraining.patches import PatchSettings


class UpDetrPretrainSettings(PatchSettings, TrainedPretrainSettings):
    """UP-DETR: find random patches, each by a group of queries that knows its features (docs/method.md G)."""

    method: Literal["updetr"] = Field("updetr", description="UP-DETR.")
    patches: int = Field(10, description="M: random patches of a tile; the detector's queries are split into as many groups.", ge=1)
    shortest_side: float = Field(8.0, description="Shortest side of a patch, pixels.", ge=1.0)
    longest_side: float | None = Field(None, description="Longest side of a patch, pixels; none: the tile's shorter side less `shortest_side`.", ge=1.0)
    patch_dropout: Fraction = Field(0.1, description="Share of queries, drawn anew for every tile, that are not told their patch.")
    group_attention: bool = Field(True, description="Whether queries see their own group alone, or all queries.")
    query_places: Literal["proposals", "random"] = Field(
        "proposals",
        description="Where queries start: at the encoder's proposals, which learn places of patches too although nothing in an image tells them, "
        "or at anchors of tokens drawn at random; the encoder's head then stays as it was.",
    )
    reconstruction_weight: float = Field(1.0, description="Weight of the distance between predicted and true features of a patch, in every layer.", ge=0.0)

    @model_validator(mode="after")
    def _sides_are_a_range(self) -> Self:
        if self.longest_side is not None and self.longest_side < self.shortest_side:
            raise ValueError(f"longest_side {self.longest_side} is below shortest_side {self.shortest_side}")
        return self

    @model_validator(mode="after")
    def _groups_have_queries(self) -> Self:
        if self.patches > self.architecture.queries:
            raise ValueError(f"patches {self.patches} leave groups without a query: the detector has {self.architecture.queries}")
        return self
