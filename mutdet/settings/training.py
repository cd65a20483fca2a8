"""Settings that every training of a detector shares: length, optimiser, schedule, augmentation, state."""

from typing import Literal, Self

from pydantic import Field, model_validator

from mutdet.settings.base import Fraction, Seed
from mutdet.settings.loop import LoopSettings


class TrainingSettings(LoopSettings):
    """How a detector is trained; defaults are ARS-DETR's schedule (docs/method.md B)."""

    seed: Seed = Field(0, description="Seed of initial weights, order of tiles, flips, dropout and denoising.")
    image_size: int = Field(1024, description="Longer side of a tile as the detector sees it, pixels; tiles are resized to it.", ge=32, le=4096)
    flip_horizontal: Fraction = Field(0.25, description="Probability of a left-right flip; at most one of the three flips is drawn.")
    flip_vertical: Fraction = Field(0.25, description="Probability of an up-down flip.")
    flip_diagonal: Fraction = Field(0.25, description="Probability of both flips at once, which is a half turn.")
    processes: int = Field(1, description="Processes that train together, one for each graphics card; each takes an equal part of every batch.", ge=1, le=1024)
    nodes: int = Field(1, description="Machines over which these processes are spread; more than one needs SLURM.", ge=1)
    accumulate: int = Field(
        1, description="Parts in which a process passes its share of a batch, one after the other, to save memory; losses are normalised in each part.", ge=1
    )
    average: float | None = Field(
        None, description="Share that a moving average of all weights keeps in each step; the average is then what the training gives.", gt=0.0, lt=1.0
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="Arithmetic of most layers in the training; weights, heads, sampling places and losses stay in float32. "
        "A processor without instructions for bfloat16 computes float32, and the log says so.",
    )
    compile: bool = Field(
        False, description="Compile backbone, neck and encoder: a minute at the start, meant for graphics cards; on two CPU cores steps become slower."
    )
    learning_rate: float = Field(1e-4, description="Step size of AdamW after warm-up.", gt=0.0)
    weight_decay: float = Field(1e-5, description="Decoupled weight decay of AdamW.", ge=0.0)
    slow_factor: float = Field(0.1, description="Factor on the learning rate of the backbone and sampling offsets.", ge=0.0)
    warmup_iterations: int = Field(500, description="Steps over which the learning rate rises linearly, but at most a tenth of the training.", ge=0)
    warmup_factor: Fraction = Field(1 / 3, description="Share of the learning rate at which the warm-up begins.")
    drops: list[Fraction] = Field([32 / 36], description="Shares of the training's length after which the learning rate falls.")
    drop_factor: Fraction = Field(0.1, description="Factor on the learning rate at each drop.")
    clip_norm: float = Field(35.0, description="Largest norm of the gradient of all weights together.", gt=0.0)

    @model_validator(mode="after")
    def _flips_are_possible(self) -> Self:
        if self.flip_horizontal + self.flip_vertical + self.flip_diagonal > 1.0:
            raise ValueError("flip_horizontal + flip_vertical + flip_diagonal must not exceed 1")
        return self

    @model_validator(mode="after")
    def _batch_divides(self) -> Self:
        if self.batch % (self.processes * self.accumulate):
            raise ValueError(f"batch {self.batch} must be a multiple of processes {self.processes} times accumulate {self.accumulate}")
        if self.processes % self.nodes:
            raise ValueError(f"processes {self.processes} must be a multiple of nodes {self.nodes}")
        return self

    def warmup_steps(self, steps: int) -> int:
        """Steps of the warm-up of a training of `steps` steps."""
        return min(self.warmup_iterations, steps // 10)


class BoxTrainingSettings(TrainingSettings):
    """What a training on given boxes, labels or pseudo labels, has besides."""

    min_box_side: float = Field(2.0, description="Boxes with a shorter side give no target, pixels of the tile before it is resized.", ge=0.0)
    empty_tiles: Literal["skip", "keep"] = Field("skip", description="Tiles without a box: skip them, or keep them as images of background alone.")
