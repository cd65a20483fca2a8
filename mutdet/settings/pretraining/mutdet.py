"""Settings of pre-training method `mutdet`."""

from typing import Literal, Self

from pydantic import Field, model_validator

from mutdet.settings.pretrain import PseudoLabelPretrainSettings


class MutdetPretrainSettings(PseudoLabelPretrainSettings):
    """MutDet: mutual enhancement, contrastive alignment, siamese branch (docs/method.md C); its ablation switches parts off (G)."""

    method: Literal["mutdet"] = Field("mutdet", description="MutDet.")
    enhancement: Literal["nothing", "embeddings", "embeddings_and_features"] = Field(
        "embeddings_and_features", description="What the mutual enhancement module enhances; proposals and decoder see enhanced features where there are any."
    )
    enhancement_layers: int = Field(3, description="Layers of the mutual enhancement module.", ge=1, le=12)
    enhancement_width: int = Field(2048, description="Hidden width of its multilayer perceptrons.", ge=8)
    alignment: Literal["contrastive", "l2"] = Field("contrastive", description="Alignment with embeddings: contrast, or squared distance of unit vectors.")
    align_encoder: bool = Field(
        True, description="Whether encoder tokens are aligned too; proposals are then ranked by likeness to the objects as well as by objectness."
    )
    siamese: bool = Field(True, description="Whether an auxiliary branch on plain features goes through the decoder too.")
    encoder_distillation: float = Field(0.0, description="Weight of a loss that pulls plain features towards enhanced ones; 0 is off.", ge=0.0)
    decoder_distillation: float = Field(
        0.0, description="Weight of a loss that pulls states of the same queries decoded on plain features towards those on enhanced ones; 0 is off.", ge=0.0
    )
    embedding_width: int = Field(1024, description="Hidden width of the perceptron that turns tokens into embeddings.", ge=8)
    temperature: float = Field(0.2, description="Temperature of the contrastive alignment.", gt=0.0)
    gather_negatives: bool = Field(True, description="Whether objects on all processes of a training are negatives, not those on one alone.")
    alignment_weight: float = Field(1.0, description="Weight of each term of the alignment.", ge=0.0)

    @property
    def uses_embeddings(self) -> bool:
        """They are what is aligned with."""
        return True

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        needing = {"siamese": self.siamese, "encoder_distillation": self.encoder_distillation, "decoder_distillation": self.decoder_distillation}
        wrong = next((name for name, value in needing.items() if value), None)
        if wrong is not None and self.enhancement != "embeddings_and_features":
            raise ValueError(f"{wrong} needs enhancement: embeddings_and_features, because without it plain features are all there are")
        if self.alignment == "l2" and self.enhancement == "embeddings":
            raise ValueError("alignment: l2 gives embeddings no gradient, so enhancement: embeddings would not learn; enhance nothing or features too")
        return self
