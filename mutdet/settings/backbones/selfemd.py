"""Settings of backbone method `selfemd`."""

from typing import Annotated, Literal

from pydantic import Field

from mutdet.settings.backbones.byol import ByolFamilySettings


class SelfEmdBackboneSettings(ByolFamilySettings):
    """Self-EMD: BYOL on feature maps, compared by the earth mover's distance; defaults are those for COCO (docs/method.md F)."""

    method: Literal["selfemd"] = Field("selfemd", description="Self-EMD on the unlabelled tiles.")
    epochs: int | None = Field(800, description="Length of the training in passes over the tiles; null where `iterations` is given.", ge=1)
    warmup_epochs: float = Field(4.0, description="Passes over the tiles in which the learning rate rises from 0, but at most a tenth of the training.", ge=0.0)
    sharpness: float = Field(10.0, description="Lambda: factor on the cost in the kernel exp(-lambda M); larger comes closer to exact transport.", gt=0.0)
    transport_iterations: int = Field(10, description="T: iterations of Sinkhorn's algorithm.", ge=1)
    marginals: Literal["vector", "mean", "uniform"] = Field(
        "vector", description="Weight of a node: likeness to the other view's vector (Eq. 13), to the mean of its nodes (Eq. 12), or the same for all."
    )
    pyramid_strides: list[Annotated[int, Field(ge=1)]] = Field(
        [1, 2], description="Strides of the 3 x 3 average poolings that add nodes to the map; maps below 3 x 3 are not pooled. Empty: the map alone."
    )
    third_view: int = Field(112, description="Side of a third view that the online network alone sees, pixels; 0 leaves it out.", ge=0, le=1024)
    vector_weight: float = Field(1.0, description="Weight of the loss between vectors.", ge=0.0)
    transport_weight: float = Field(1.0, description="Weight of the loss between maps.", ge=0.0)

    def view_sizes(self) -> list[int]:
        """Side of every view of a tile, pixels."""
        return [self.crop_size, self.crop_size, *([self.third_view] if self.third_view else [])]
