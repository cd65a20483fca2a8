"""The whole config file: sections of variants, and the checks that need more than one section."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, ValidationError, model_validator

from mutdet.settings.backbone import BackboneSettings
from mutdet.settings.base import Runtime, Settings, Variant
from mutdet.settings.boxes import BoxesSettings
from mutdet.settings.codebook import CodebookSettings
from mutdet.settings.datasets import DatasetSettings
from mutdet.settings.detect import DetectSettings
from mutdet.settings.detectors import DetectorSettings
from mutdet.settings.embed import EmbedSettings
from mutdet.settings.errors import UserError
from mutdet.settings.evaluate import EvaluateSettings
from mutdet.settings.finetune import FinetuneSettings
from mutdet.settings.masks import MasksSettings
from mutdet.settings.messages import one_line
from mutdet.settings.pretrain import PretrainSettings, PseudoLabelPretrainSettings
from mutdet.settings.pseudo_labels import PseudoLabelsSettings
from mutdet.settings.report import ReportSettings
from mutdet.settings.scenes import ScenesSettings
from mutdet.settings.tables import TablesSettings

_DATASET_IGNORES = "datasets.<data set>.ignore_categories"
FILLED_IN: dict[str, dict[str, str]] = {
    "pretrain": {"architecture": "the variant of detectors that pretrain.<variant>.detector names"},
    "finetune": {"ignore_categories": _DATASET_IGNORES},
    "evaluate": {
        "split": "detect.split",
        "ignore_categories": _DATASET_IGNORES,
        "experiment": "the variant's name under finetune",
        "pretrain": "pretrain.<variant>.method",
        **{fact: f"finetune.<variant>.{fact}" for fact in ("dataset", "fraction", "seed", "epochs", "iterations")},
    },
    "report": {"budgets": "budget", "shards": "shards"},
}
"""Section -> setting that a stage run by hand is given and that the workflow takes from elsewhere in the config file -> where."""


class Config(Settings):
    """Everything that one run is made from."""

    run: Variant = Field(description="Name of the run; its tables lie under results/<run>/.")
    shards: int = Field(4, ge=1, description="Files that each table is cut into; the result is the same, row for row.")
    runtime: Runtime = Field(Runtime(), description="How stages run; changes no result.")
    scenes: dict[Variant, ScenesSettings] = Field({}, description="Procedural data sets.")
    datasets: dict[Variant, DatasetSettings] = Field(description="Images, labels and how they are cut into tiles.")
    detectors: dict[Variant, DetectorSettings] = Field({}, description="Architectures.")
    masks: dict[Variant, MasksSettings] = Field({}, description="Mask generators.")
    boxes: dict[Variant, BoxesSettings] = Field({}, description="Rotated boxes of masks.")
    backbone: dict[Variant, BackboneSettings] = Field({}, description="Backbones before any detector is trained.")
    embed: dict[Variant, EmbedSettings] = Field({}, description="Object embeddings.")
    codebook: dict[Variant, CodebookSettings] = Field({}, description="Projection and pseudo-classes.")
    pseudo_labels: PseudoLabelsSettings = Field(PseudoLabelsSettings(), description="Pseudo labels of every codebook.")
    pretrain: dict[Variant, PretrainSettings] = Field({}, description="Pre-trainings.")
    finetune: dict[Variant, FinetuneSettings] = Field({}, description="Fine-tunings; each is detected with and evaluated.")
    detect: DetectSettings = Field(DetectSettings(), description="Detection with every fine-tuned detector.")
    evaluate: EvaluateSettings = Field(EvaluateSettings(), description="Evaluation of every fine-tuned detector.")
    tables: dict[Variant, TablesSettings] = Field({}, description="Tables of experiments side by side.")
    report: ReportSettings = Field(ReportSettings(), description="The report page.")
    budget: dict[str, float] = Field(
        {}, description="Seconds that the jobs of each stage are expected to take, added up; the report shows them beside those taken."
    )

    @model_validator(mode="after")
    def _nothing_is_overwritten(self) -> "Config":
        for section, sources in FILLED_IN.items():
            found = getattr(self, section)
            variants = {f"{section}.{name}": settings for name, settings in found.items()} if isinstance(found, dict) else {section: found}
            for place, settings in variants.items():
                for field in sources:
                    if field in settings.model_fields_set:
                        raise ValueError(f"{place}.{field}: the workflow takes it from {sources[field]}; leave it out here and set it there")
        return self

    @model_validator(mode="after")
    def _variants_exist(self) -> "Config":
        for place, section, name in self._references():
            known = getattr(self, section)
            if name not in known:
                raise ValueError(f"{place} = {name!r}: no such variant in section {section}; choose one of {', '.join(known) or '(none defined)'}")
        return self

    @model_validator(mode="after")
    def _widths_agree(self) -> "Config":
        for name, settings in self.pretrain.items():
            if not isinstance(settings, PseudoLabelPretrainSettings) or not settings.uses_embeddings:
                continue
            if settings.codebook in self.codebook and settings.detector in self.detectors:
                components, width = self.codebook[settings.codebook].components, self.detectors[settings.detector].width
                if components != width:
                    place = f"codebook.{settings.codebook}.components = {components}"
                    raise ValueError(f"{place}: must equal detectors.{settings.detector}.width = {width}, which pretrain.{name} uses with it")
        return self

    def _references(self) -> Iterator[tuple[str, str, str]]:
        """Every mention of another section's variant: place, section, name."""
        single = [
            ("datasets", "scenes", "scenes"),
            ("boxes", "masks", "masks"),
            ("backbone", "probe_dataset", "datasets"),
            ("embed", "boxes", "boxes"),
            ("embed", "backbone", "backbone"),
            ("codebook", "embed", "embed"),
            ("pretrain", "codebook", "codebook"),
            ("pretrain", "backbone", "backbone"),
            ("pretrain", "detector", "detectors"),
            ("finetune", "pretrain", "pretrain"),
            ("finetune", "dataset", "datasets"),
        ]
        for section, field, target in single:
            for name, settings in getattr(self, section).items():
                value = getattr(settings, field, None)
                if value is not None:
                    yield f"{section}.{name}.{field}", target, value
        for section in ("backbone", "codebook", "pretrain"):
            for name, settings in getattr(self, section).items():
                for dataset in getattr(settings, "datasets", None) or []:
                    yield f"{section}.{name}.datasets", "datasets", dataset
        for name, table in self.tables.items():
            for experiment in table.experiments:
                yield f"tables.{name}.experiments", "finetune", experiment


def parse_config(content: Mapping[str, Any]) -> Config:
    """Typed settings of a whole config file.

    Raises:
        UserError: an unknown key, a wrong type, an impossible value or a variant that does not exist, in one line.
    """
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise UserError(one_line(error), file="config") from error
