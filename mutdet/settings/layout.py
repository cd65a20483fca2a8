"""Where every file of a run lies, and which variants read which: what the rules of the workflow ask."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mutdet.settings.config import Config
from mutdet.settings.datasets import DatasetSettings, SourceImage, list_images, shard_name, shard_of
from mutdet.settings.fingerprint import code_fingerprint
from mutdet.settings.stages import STAGES

ANNOTATED = ("train", "val", "test")


class Layout:
    """Paths of the run that a config describes; everything that Snakemake needs to know at parse time."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.root = Path("results") / config.run
        self.shards = [shard_name(i, config.shards) for i in range(config.shards)]
        self._sources: dict[str, list[SourceImage]] = {}

    # What decides a rule's output ---------------------------------------------------------------

    def settings(self, stage: str, variant: str) -> BaseModel:
        """Settings of a stage's variant, with what it takes from other sections filled in."""
        section = {"partition index": "datasets", "partition tiles": "datasets"}.get(stage, stage.partition(" ")[0])
        if section == "datasets":
            return self.dataset(variant)
        value = getattr(self.config, section)
        chosen: BaseModel = value[variant] if isinstance(value, dict) else value
        if section == "pretrain":
            return chosen.model_copy(update={"architecture": self.config.detectors[chosen.detector]})  # type: ignore[attr-defined]
        if section == "evaluate":
            return chosen.model_copy(update=self._experiment(variant))
        return chosen

    def settings_json(self, stage: str, variant: str) -> str:
        """The same as one line of JSON, for the command line and as a rerun trigger."""
        return json.dumps(self.settings(stage, variant).model_dump(mode="json"), sort_keys=True)

    def code(self, stage: str, variant: str) -> str:
        """Fingerprint of the code that a stage runs under a variant's settings."""
        return code_fingerprint(STAGES[stage].modules(self.settings(stage, variant)))

    # Data sets -----------------------------------------------------------------------------------

    def dataset(self, name: str) -> DatasetSettings:
        """Settings of a data set; one that is drawn by `scenes` gets the folders that the stage writes."""
        settings = self.config.datasets[name]
        if settings.scenes is None:
            return settings
        folder = self.root / "scenes" / settings.scenes
        splits = {split: folder / f"{split}.txt" for split in self.config.scenes[settings.scenes].image_ids()}
        return settings.model_copy(update={"images": folder / "images", "labels": folder / "labelTxt", "splits": splits, "scenes": None})

    def scene_files(self, variant: str) -> dict[str, list[Path]]:
        """Every file that the scenes stage writes for a variant."""
        folder = self.root / "scenes" / variant
        ids = self.config.scenes[variant].image_ids()
        names = [name for split in ids.values() for name in split]
        return {
            "images": [folder / "images" / f"{name}.png" for name in names],
            "labels": [folder / "labelTxt" / f"{name}.txt" for name in names],
            "splits": [folder / f"{split}.txt" for split in ids],
        }
