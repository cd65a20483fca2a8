"""Settings of pre-training method `aligndet`."""

from typing import Annotated, Literal

from pydantic import Field

from mutdet.settings.base import Fraction
from mutdet.settings.pretrain import PseudoLabelPretrainSettings

Operation = Literal["identity", "autocontrast", "equalize", "solarize", "colour", "contrast", "brightness", "sharpness", "posterize"]
OPERATIONS: list[Operation] = ["identity", "autocontrast", "equalize", "solarize", "colour", "contrast", "brightness", "sharpness", "posterize"]


class AlignDetPretrainSettings(PseudoLabelPretrainSettings):
    """AlignDet: two views, an averaged detector, contrast between their boxes, cluster labels (docs/method.md G)."""

    method: Literal["aligndet"] = Field("aligndet", description="AlignDet.")
    boxes_per_tile: int | None = Field(
        50, description="Pseudo boxes of a tile that count, highest score first; never more than the detector has queries; none: as many.", ge=1
    )
    view_scales: list[Annotated[float, Field(gt=0.0, le=2.0)]] = Field(
        [0.8, 0.84, 0.88, 0.92, 0.96, 1.0],
        description="Sizes of a view as shares of the tile's; each draws one, and its own flip.",
        min_length=1,
    )
    operations: list[Operation] = Field(OPERATIONS, description="Changes of colours; each view draws one, and its strength.", min_length=1)
    momentum: Fraction = Field(0.996, description="Share that the averaged detector keeps at first; rises to 1 along half a cosine.")
    projection: int = Field(256, description="Length of the vectors that are contrasted.", ge=2)
    temperature: float = Field(0.5, description="Temperature of the contrast.", gt=0.0)
    gather_negatives: bool = Field(True, description="Whether objects on all processes of a training are negatives, not those on one alone.")
    contrast_weight: float = Field(1.0, description="Weight of the contrast in every decoder layer.", ge=0.0)
