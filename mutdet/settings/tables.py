"""Settings of the tables that put experiments side by side."""

from pathlib import Path

from pydantic import Field

from mutdet.settings.base import Files, Settings, Variant


class PublishedFigures(Settings):
    """What a paper prints for a row."""

    ap50: float | None = Field(None, description="AP (VOC07) at IoU 0.5, percent.", ge=0.0, le=100.0)
    ap75: float | None = Field(None, description="AP (VOC07) at IoU 0.75, percent.", ge=0.0, le=100.0)


class TablesSettings(Settings):
    """One table; experiments that differ in nothing but the seed share a row."""

    experiments: list[Variant] = Field([], description="Variants of finetune to compare, in the order of the rows; empty takes all.")
    baseline: str = Field("none", description="Pre-training method that gains are measured against, where the table has such a row.")
    published: dict[Variant, PublishedFigures] = Field(
        {},
        description="Figures of a paper to show beside ours, by row: an experiment's name without the seed at its end. For rows of the paper's setting alone.",
    )
    caption: str = Field("", description="Caption of the LaTeX table; empty names the data sets.")


class TablesFiles(Files):
    """Put the figures of several experiments side by side."""

    evaluations: list[Path] = Field(description="Tables of figures (evaluation.parquet), one per experiment.")
    output: Path = Field(description="Table to write (.parquet); the same as .csv and as LaTeX (.tex) goes beside it.")

    def outputs(self) -> list[Path]:
        """The table in its three formats."""
        return [self.output.with_suffix(suffix) for suffix in (self.output.suffix, ".csv", ".tex")]
