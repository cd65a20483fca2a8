"""What every settings class shares."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

VARIANT_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
Variant = Annotated[str, Field(pattern=VARIANT_PATTERN)]
"""Name of a variant: a path component."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Settings(BaseModel):
    """Settings that decide results: unknown keys are refused, values cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Files(BaseModel):
    """Paths that a stage reads and writes; each becomes a flag of its subcommand."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    written: ClassVar[tuple[str, ...]] = ("output",)
    """Fields that name what the stage writes, other than the state that a training resumes from."""

    def outputs(self) -> list[Path]:
        """What the stage will write: files, and folders of files."""
        return [path for path in (getattr(self, name) for name in self.written) if path is not None]


class Runtime(Settings):
    """How a stage runs, not what it computes: changes no result, but for rounding on a GPU, and triggers no rerun."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Device of forward passes and trainings; auto takes CUDA where there is one.")
    workers: int | None = Field(
        None, ge=0, description="Processes that read training data; 0 reads in the training process. By default 2 where a graphics card trains, 0 elsewhere."
    )
    deterministic: bool = Field(
        False, description="Use such algorithms alone as give the same bits each time on a GPU, slower ones at times; on a CPU it is always so."
    )
