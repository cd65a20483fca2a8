"""Settings of the loop that every training runs in: length, seed, threads, log, checkpoints."""

from typing import Any, Self

from pydantic import Field, model_validator

from mutdet.settings.base import Seed, Settings


class LoopSettings(Settings):
    """How long a training runs and what it leaves behind on the way."""

    epochs: int | None = Field(36, description="Length of the training in passes over the tiles. Leave out or set to null where `iterations` is given.", ge=0)
    iterations: int | None = Field(None, description="Length of the training in optimiser steps; stands in place of `epochs`.", ge=1)
    seed: Seed = Field(0, description="Seed of initial weights, order of tiles, and everything else that is drawn.")
    threads: int = Field(2, description="Threads of the training on a CPU; fixed here because sums depend on it.", ge=1, le=256)
    batch: int = Field(2, description="Tiles per optimiser step.", ge=1)
    log_every: int = Field(50, description="Steps over which a row of the log table averages.", ge=1)
    checkpoint_minutes: float = Field(10.0, description="Minutes between two checkpoints from which a stopped training resumes.", gt=0.0)

    @model_validator(mode="before")
    @classmethod
    def _iterations_replace_epochs(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("iterations") is not None and "epochs" not in given:
            return {**given, "epochs": None}
        return given

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError("give either epochs or iterations, not both and not neither")
        return self

    def total_steps(self, tiles: int) -> int:
        """Optimiser steps of the whole training on so many tiles; an incomplete batch at the end counts as a step."""
        if self.iterations is not None:
            return self.iterations
        return -(-(self.epochs or 0) * tiles // self.batch)
