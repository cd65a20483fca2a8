"""Settings of command train_small_sam: how the weights in the package were made."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from mutdet.settings.base import Files, Fraction, Seed, Settings
from mutdet.settings.scenes import TRAINING_FAMILIES, FamilyName, SceneSettings


class TrainSmallSamSettings(Settings):
    """Training of the small SAM on procedural scenes, drawn while it trains."""

    encoder_steps: int = Field(1000, ge=0, description="Optimiser steps of encoder and upscaling alone, on dense targets; cheap, they save many others.")
    encoder_images: int = Field(6, ge=1, description="Scenes in one of those steps.")
    steps: int = Field(3000, ge=1, description="Optimiser steps of the whole model on prompts, after those of the encoder.")
    images: int = Field(2, ge=1, description="Scenes in one of these steps.")
    object_points: int = Field(20, ge=1, description="Prompts on objects of each scene; the scene's objects take turns.")
    background_points: int = Field(
        12, ge=0, description="Prompts on background of each scene, whose predicted IoU is taught to be 0; half of them lie near objects."
    )
    families: list[FamilyName] = Field(list(TRAINING_FAMILIES), min_length=1, description="Families of palettes and textures of the scenes.")
    gsd_range: tuple[float, float] = Field((0.14, 0.5), description="Smallest and largest ground sampling distance of the scenes, metres per pixel.")
    seed: Seed = Field(0, description="Of initial weights, scenes, prompts and augmentation.")
    learning_rate: float = Field(8e-4, gt=0.0, description="Highest step size of AdamW; a cosine leads it to 0.")
    warmup_steps: int = Field(150, ge=0, description="Steps over which the step size rises linearly.")
    weight_decay: float = Field(0.02, ge=0.0, description="Decoupled weight decay of AdamW.")
    clip_norm: float = Field(1.0, gt=0.0, description="Largest norm of the gradient of all weights together.")
    focal_weight: float = Field(20.0, ge=0.0, description="Weight of the masks' focal loss.")
    dice_weight: float = Field(1.0, ge=0.0, description="Weight of the masks' dice loss.")
    iou_weight: float = Field(2.0, ge=0.0, description="Weight of the squared error of the predicted IoU.")
    peak_weight: float = Field(0.3, ge=0.0, description="Weight of the loss of the map of object centres.")
    dense_weight: float = Field(0.5, ge=0.0, description="Weight of the dense losses: object or background, and the way to the object's centre.")
    grey: Fraction = Field(0.1, description="Share of scenes that lose their colours.")
    precision: Literal["float32", "bfloat16"] = Field("bfloat16", description="Of products in forward and backward passes; weights and losses are float32.")
    threads: int = Field(1, ge=1, le=256, description="Threads of the training on a CPU; fixed here because sums depend on it.")
    log_every: int = Field(25, ge=1, description="Steps over which a row of the log table averages.")
    checkpoint_minutes: float = Field(4.0, gt=0.0, description="Minutes between two checkpoints; each also writes the weights as they are.")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.warmup_steps >= self.steps:
            raise ValueError(f"warmup_steps {self.warmup_steps} outlast the training of {self.steps} steps")
        return self

    @property
    def total_steps(self) -> int:
        """Steps of both parts together."""
        return self.encoder_steps + self.steps

    def samples(self, step: int) -> range:
        """Numbers of the scenes of a step, counted through both parts."""
        if step < self.encoder_steps:
            return range(step * self.encoder_images, (step + 1) * self.encoder_images)
        start = self.encoder_steps * self.encoder_images + (step - self.encoder_steps) * self.images
        return range(start, start + self.images)

    def scene(self, size: int) -> SceneSettings:
        """How each scene is drawn, `size` pixels a side."""
        return SceneSettings(size=size, families=self.families, gsd_range=self.gsd_range)


class TrainSmallSamFiles(Files):
    """Train the small SAM on procedural scenes."""

    written = ("output", "log")

    output: Path = Field(description="Weights to write, safetensors in half precision.")
    log: Path = Field(description="Table of losses to write.")
    state: Path = Field(description="Folder of the checkpoint that a stopped training resumes from.")
