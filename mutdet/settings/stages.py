"""The stages: which settings, files and function carry each out. The command line and the workflow read this list."""

from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import Any

from pydantic import BaseModel, TypeAdapter

from mutdet.settings import registries
from mutdet.settings.base import Files


@dataclass(frozen=True)
class Stage:
    """One subcommand, and one rule or rules of the same name.

    Attributes:
        name: stage, such as `masks`; for a stage of several parts `partition tiles`.
        settings: "module:object" of the settings class or union; empty where a stage has none.
        files: "module:class" of the paths.
        function: "module:function" that runs it.
        choices: settings field, dotted where it is nested, -> registry in which the field chooses a line.
    """

    name: str
    settings: str
    files: str
    function: str
    choices: tuple[tuple[str, str], ...] = ()

    @property
    def summary(self) -> str:
        """First line of the help text: the docstring of the files class."""
        return (self.files_class.__doc__ or "").strip().splitlines()[0]

    @property
    def files_class(self) -> type[Files]:
        """Class of the stage's paths."""
        cls: type[Files] = _object(self.files)
        return cls

    @property
    def settings_type(self) -> Any:
        """Settings class, or union of classes that one field tells apart."""
        return _object(self.settings)

    def validate(self, settings: Any) -> BaseModel:
        """Typed settings from a mapping; pydantic's error passes through."""
        validated: BaseModel = TypeAdapter(self.settings_type).validate_python(settings)
        return validated

    def modules(self, settings: BaseModel) -> list[str]:
        """Modules whose code decides the output under these settings."""
        chosen = [module for field, registry in self.choices for module in registries.modules(getattr(registries, registry), attrgetter(field)(settings))]
        return [*(name.partition(":")[0] for name in (self.function, self.files, self.settings)), *chosen]


def _object(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


def _stage(name: str, prefix: str, *, settings: str = "", part: str = "", choices: tuple[tuple[str, str], ...] = ()) -> Stage:
    module = f"mutdet.settings.{name}"
    return Stage(
        name=f"{name} {part}".strip(),
        settings=settings or f"{module}:{prefix}Settings",
        files=f"{module}:{prefix}{part.title()}Files",
        function=f"mutdet.stages.{name}:run{'_' + part if part else ''}",
        choices=choices,
    )


_DATASET = "mutdet.settings.datasets:DatasetSettings"
STAGES = {
    stage.name: stage
    for stage in [
        _stage("scenes", "Scenes"),
        Stage("partition index", _DATASET, "mutdet.settings.datasets:PartitionIndexFiles", "mutdet.stages.partition:run_index", (("format", "LABEL_FORMATS"),)),
        Stage("partition tiles", _DATASET, "mutdet.settings.datasets:PartitionTilesFiles", "mutdet.stages.partition:run_tiles", (("format", "LABEL_FORMATS"),)),
        _stage("masks", "Masks", choices=(("generator", "MASK_GENERATORS"),)),
        _stage("boxes", "Boxes"),
        _stage("masks_and_boxes", "MasksAndBoxes", choices=(("masks.generator", "MASK_GENERATORS"),)),
        _stage("backbone", "Backbone", choices=(("method", "BACKBONE_METHODS"),)),
        _stage("embed", "Embed"),
        _stage("codebook", "Codebook"),
        _stage("pseudo_labels", "PseudoLabels"),
        _stage("pretrain", "Pretrain", choices=(("method", "PRETRAINING_METHODS"),)),
        _stage("finetune", "Finetune"),
        _stage("detect", "Detect", part="tiles", settings="mutdet.settings.detect:DetectSettings"),
        Stage("detect merge", "mutdet.settings.detect:DetectSettings", "mutdet.settings.detect:DetectMergeFiles", "mutdet.stages.detect_merge:run"),
        _stage("evaluate", "Evaluate"),
        _stage("tables", "Tables"),
        Stage("report tiles", "mutdet.settings.report:ReportTilesSettings", "mutdet.settings.report:ReportTilesFiles", "mutdet.stages.report_tiles:run"),
        _stage("report", "Report", part="page", settings="mutdet.settings.report:ReportSettings"),
    ]
}

TOOLS = {
    tool.name: tool
    for tool in [
        _stage("export_geojson", "ExportGeojson"),
        _stage("import_checkpoint", "ImportCheckpoint"),
        _stage("train_small_sam", "TrainSmallSam"),
    ]
}
COMMANDS = {**STAGES, **TOOLS}
