"""Where every file of a run lies, and which variants read which: what the rules of the workflow ask."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from mutdet.settings.backbones.self_supervised import SelfSupervisedSettings
from mutdet.settings.boxes import BoxFilterSettings
from mutdet.settings.config import Config
from mutdet.settings.datasets import (
    DatasetSettings,
    SourceImage,
    Split,
    check_unique_ids,
    labelled_splits,
    list_images,
    list_scenes,
    select_images,
    shard_name,
    shard_of,
)
from mutdet.settings.errors import UserError
from mutdet.settings.fingerprint import PACKAGE, code_fingerprint
from mutdet.settings.masks_and_boxes import MasksAndBoxesSettings
from mutdet.settings.pretrain import PseudoLabelPretrainSettings, TrainedPretrainSettings
from mutdet.settings.registries import DETECTORS, modules
from mutdet.settings.stages import STAGES

PICTURES = "pictures"
"""Name, in place of a shard's, of the table of detections on the tiles that the report shows."""


class Layout:
    """Paths of the run that a config describes; everything that Snakemake needs to know at parse time.

    Raises:
        UserError: a variant reads a split that its data set does not have.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.root = Path("results") / config.run
        self.shards = [shard_name(i, config.shards) for i in range(config.shards)]
        self._sources: dict[str, list[SourceImage]] = {}
        # Rules ask once for each job, and there may be thousands of jobs and of images.
        self._labelled: dict[str, set[Split]] = {}
        self._source_files: dict[tuple[str, Split], list[dict[str, list[Path]]]] = {}
        self._codes: dict[tuple[str, str, Split | None], str] = {}
        splits = {dataset: self.splits(dataset) for dataset in config.datasets}
        for place, dataset, split in self._splits_read():
            if split not in splits[dataset]:
                what = f"{place}: data set {dataset!r} has no split {split}, but {', '.join(splits[dataset]) or 'none at all'}"
                raise UserError(what, file="config", remedy="add that split, or name another split or data set")

    # What decides a rule's output ---------------------------------------------------------------

    def settings(self, stage: str, variant: str, split: Split | None = None) -> BaseModel:
        """Settings of a stage's variant, with what it takes from other sections filled in; of a data set, those that decide the tiles of `split`."""
        name = stage.partition(" ")[0]
        if name == "partition":
            return self.dataset(variant) if split is None else self.dataset(variant).of_split(split)
        if stage == "report tiles":
            return self.config.report.of_tiles()
        if stage == "masks_and_boxes":
            return self._masks_and_boxes(variant)
        section = getattr(self.config, name)
        chosen: BaseModel = section[variant] if isinstance(section, dict) else section
        taken = {"pretrain": self._architecture, "finetune": self._ignored, "evaluate": self._experiment, "report": self._facts_of_run}
        return chosen.model_copy(update=taken[name](variant)) if name in taken else chosen

    def settings_json(self, stage: str, variant: str, split: Split | None = None) -> str:
        """The same as one line of JSON, for the command line and as a rerun trigger."""
        return json.dumps(self.settings(stage, variant, split).model_dump(mode="json"), sort_keys=True)

    def code(self, stage: str, variant: str, split: Split | None = None) -> str:
        """Fingerprint of the code that a stage runs under these settings."""
        key = (stage, variant, split)
        if key not in self._codes:
            modules = [*STAGES[stage].modules(self.settings(stage, variant, split)), *self._detector_modules(stage, variant)]
            self._codes[key] = code_fingerprint(modules)
        return self._codes[key]

    # Data sets -----------------------------------------------------------------------------------

    def dataset(self, name: str) -> DatasetSettings:
        """Settings of a data set; one that is drawn by `scenes` gets the folders that the stage writes."""
        settings = self.config.datasets[name]
        if settings.scenes is None:
            return settings
        # `val: 0` draws no image for split val, and a split without images does not exist.
        drawn = [split for split, ids in self.config.scenes[settings.scenes].image_ids().items() if ids]
        return settings.of_scenes(self.root / "scenes" / settings.scenes, drawn)

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

    def sources(self, dataset: str) -> list[SourceImage]:
        """Images of a data set, as found on disk or as `scenes` will write them. Labels may be missing: the jobs that read them say so.

        Raises:
            UserError: images of the data set are not as its settings say.
        """
        if dataset not in self._sources:
            settings = self.config.datasets[dataset]
            if settings.scenes is None:
                self._sources[dataset] = list_images(settings, dataset)
            else:
                folder = self.root / "scenes" / settings.scenes
                self._sources[dataset] = list_scenes(folder, self.config.scenes[settings.scenes].image_ids())
            check_unique_ids(self._sources)
        return self._sources[dataset]

    def splits(self, dataset: str) -> list[Split]:
        """Splits of a data set that have tiles."""
        return self.dataset(dataset).split_names()

    def source_files(self, dataset: str, split: Split, shard: str) -> dict[str, list[Path]]:
        """Image and label files that a shard of a split is cut from; an unlabelled split reads no label."""
        if (dataset, split) not in self._source_files:
            self._source_files[dataset, split] = self._files_of_shards(dataset, split)
        return self._source_files[dataset, split][self.shards.index(shard)]

    def labelled(self, dataset: str, split: Split) -> bool:
        """Whether tiles of a split carry labels; one label file decides it for all shards of split `test`, most of which do not read that file."""
        if dataset not in self._labelled:
            self._labelled[dataset] = labelled_splits(self.sources(dataset))
        return split in self._labelled[dataset]

    def all_source_files(self, dataset: str) -> dict[str, list[Path]]:
        """Every image and label file of a data set."""
        sources = self.sources(dataset)
        return {"images": [source.path for source in sources], "labels": [source.label for source in sources if source.label is not None]}

    def split_files(self, dataset: str) -> list[Path]:
        """Text files that list the images of a data set's splits."""
        return [path for path in self.dataset(dataset).splits.values() if isinstance(path, Path)]

    def threads(self, stage: str, variant: str) -> int:
        """Threads of a training on one node; they stand in its settings because sums depend on them."""
        settings = self.settings(stage, variant)
        return int(getattr(settings, "threads", 1)) * int(getattr(settings, "processes", 1)) // int(getattr(settings, "nodes", 1))

    def nodes(self, stage: str, variant: str) -> int:
        """Machines over which a training is spread."""
        return int(getattr(self.settings(stage, variant), "nodes", 1))

    def launcher(self, stage: str, variant: str) -> str:
        """Command that starts a training: `mutdet`, or torchrun where several processes train together, on every node of a SLURM job where these are more."""
        settings = self.settings(stage, variant)
        processes, nodes = int(getattr(settings, "processes", 1)), self.nodes(stage, variant)
        if processes == 1 or getattr(settings, "epochs", None) == 0:
            return "mutdet"
        if nodes == 1:
            return f"torchrun --standalone --nproc-per-node {processes} -m -- mutdet"
        # The job's shell runs on the first of its nodes.
        meeting = '--rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$(hostname):$((20000 + SLURM_JOB_ID % 10000))"'
        return f"srun --ntasks {nodes} --ntasks-per-node 1 torchrun --nnodes {nodes} --nproc-per-node {processes // nodes} {meeting} -m -- mutdet"

    def gpus(self, stage: str, variant: str) -> int:
        """GPUs that a variant takes where there are any: one for each process, or none if it has no use for it or the runtime settings say `cpu`."""
        settings = self.settings(stage, variant)
        useful = self.config.runtime.device != "cpu" and getattr(settings, "uses_gpu", True)
        return int(getattr(settings, "processes", 1)) if useful else 0

    # Tables ----------------------------------------------------------------------------------------

    def tiles(self, dataset: str, split: str) -> list[Path]:
        """Tables of tiles of a split."""
        return [self.root / "partition" / dataset / split / f"{shard}.parquet" for shard in self.shards]

    def shards_of(self, stage: str, variant: str, datasets: list[str]) -> list[Path]:
        """Tables of a variant of masks, boxes, embed or pseudo_labels, for some data sets."""
        return [self.root / stage / variant / dataset / f"{shard}.parquet" for dataset in datasets for shard in self.shards]

    def datasets(self, section: str, variant: str) -> list[str]:
        """Data sets whose unlabelled tiles a variant reads: those it names, or all."""
        named = getattr(getattr(self.config, section)[variant], "datasets", None)
        return list(named) if named else [name for name in self.config.datasets if "unlabelled" in self.splits(name)]

    def unlabelled_tiles(self, section: str, variant: str) -> list[Path]:
        """Tables of unlabelled tiles that a variant of backbone or pretrain reads."""
        return [path for dataset in self.datasets(section, variant) for path in self.tiles(dataset, "unlabelled")]

    def boxes(self, *, masks_kept: bool) -> list[str]:
        """Variants of boxes that are made from tables of masks, or the others."""
        return [name for name, settings in self.config.boxes.items() if settings.keep_masks == masks_kept]

    def backbone_tiles(self, variant: str) -> list[Path]:
        """Tables of tiles that decide a backbone's weights; none where these come from a file."""
        return self.unlabelled_tiles("backbone", variant) if self.config.backbone[variant].reads_tiles else []

    def backbones(self, *, trained: bool) -> list[str]:
        """Variants of backbone that are trained here, or the others; only the former have a log and a state."""
        return [name for name, settings in self.config.backbone.items() if settings.trains == trained]

    def backbone_probe(self, variant: str) -> list[Path]:
        """Tables of labelled tiles that give a figure in the log of a backbone's training; none by default."""
        settings = self.config.backbone[variant]
        if not isinstance(settings, SelfSupervisedSettings) or settings.probe_dataset is None:
            return []
        return self.tiles(settings.probe_dataset, settings.probe_split)

    def pretrain_inputs(self, variant: str) -> dict[str, list[Path]]:
        """Tables and weights that a pre-training reads: tiles where it trains, pseudo labels where it learns from them."""
        settings = self.config.pretrain[variant]
        inputs = {"backbone": [self.root / "backbone" / settings.backbone / "backbone.safetensors"]}
        if isinstance(settings, TrainedPretrainSettings):
            inputs["tiles"] = self.unlabelled_tiles("pretrain", variant)
        if isinstance(settings, PseudoLabelPretrainSettings):
            inputs["pseudo_labels"] = self.shards_of("pseudo_labels", settings.codebook, self.datasets("pretrain", variant))
        return inputs

    def state(self, stage: str, variant: str) -> Path:
        """Folder of a training's checkpoints: other code begins anew, other settings and data get a folder below it."""
        return self.root / "state" / stage / variant / self.code(stage, variant)

    def weights(self, stage: str, variant: str) -> list[Path]:
        """Local weights files that a variant loads; their content decides the output."""
        settings = self.settings(stage, variant)
        path = getattr(settings, "weights_file", None) or getattr(settings, "weights", None)
        if not isinstance(path, Path) or not path.is_file():
            return []
        # Where package and run share a folder it may be moved: an input of another name would be a reason to run again.
        return [path.relative_to(Path.cwd()) if path.is_relative_to(PACKAGE) and path.is_relative_to(Path.cwd()) else path]

    # Targets ---------------------------------------------------------------------------------------

    def evaluations(self) -> list[Path]:
        """Evaluation tables of every fine-tuning."""
        return [self.root / "evaluate" / name / "evaluation.parquet" for name in self.config.finetune]

    def tables(self) -> list[Path]:
        """Tables of experiments."""
        return [self.root / "tables" / f"{name}.parquet" for name in self.config.tables]

    def stage_outputs(self) -> list[Path]:
        """Final files of every variant of every stage, used by an experiment or not."""
        root, config = self.root, self.config
        paths = [path for name in config.datasets for split in self.splits(name) for path in self.tiles(name, split)]
        paths += [root / "partition" / name / f"{table}.parquet" for name in config.datasets for table in ("images", "labels")]
        everywhere = [name for name in config.datasets if "unlabelled" in self.splits(name)]
        for stage, variants in (("masks", self._kept_masks()), ("boxes", config.boxes), ("embed", config.embed)):
            paths += [path for variant in variants for path in self.shards_of(stage, variant, everywhere)]
        paths += [root / "backbone" / variant / "backbone.safetensors" for variant in config.backbone]
        paths += [root / "backbone" / variant / "log.parquet" for variant in self.backbones(trained=True)]
        for variant in config.codebook:
            paths += [root / "codebook" / variant / name for name in ("codebook.safetensors", "clusters.parquet")]
            paths += self.shards_of("pseudo_labels", variant, self.datasets("codebook", variant))
        paths += [root / "pretrain" / variant / "detector.safetensors" for variant in config.pretrain]
        return paths + self.evaluations() + self.tables()

    def report_tiles(self) -> dict[str, Path]:
        """Tables of the tiles that pictures show, of every data set that has unlabelled tiles."""
        return {name: self.root / "report" / "tiles" / f"{name}.parquet" for name in self.config.datasets if "unlabelled" in self.splits(name)}

    def report_tiles_inputs(self, dataset: str) -> dict[str, list[Path]]:
        """Tables that these tiles are chosen from: with labels where the data set has any, else those with boxes of the first variant."""
        inputs = {"unlabelled": self.tiles(dataset, "unlabelled")}
        if "train" in self.splits(dataset):
            return {**inputs, "train": self.tiles(dataset, "train")}
        return {**inputs, "boxes": [path for variant in list(self.config.boxes)[:1] for path in self.shards_of("boxes", variant, [dataset])]}

    def detect_tiles(self, variant: str, part: str) -> Path:
        """Tiles that a fine-tuned detector runs on: a shard of the split that is evaluated, or the tiles of the pictures."""
        dataset = self.config.finetune[variant].dataset
        return self.report_tiles()[dataset] if part == PICTURES else self.root / "partition" / dataset / self.config.detect.split / f"{part}.parquet"

    def pictures(self) -> list[Path]:
        """What only the report's pictures need: some tiles of every data set, and every fine-tuned detector's detections on them."""
        detected = [self.root / "detect" / name / f"{PICTURES}.parquet" for name, one in self.config.finetune.items() if one.dataset in self.report_tiles()]
        return [*self.report_tiles().values(), *detected]

    def report(self) -> Path:
        """The page."""
        return self.root / "report" / "index.html"

    def _files_of_shards(self, dataset: str, split: Split) -> list[dict[str, list[Path]]]:
        """What `source_files` returns for each shard, in the order of the shards."""
        labelled = self.labelled(dataset, split)
        files: list[dict[str, list[Path]]] = [{"images": [], "labels": []} for _ in self.shards]
        for source in select_images(self.sources(dataset), split):
            shard = files[shard_of(source.image_id, self.config.shards)]
            shard["images"].append(source.path)
            if labelled and source.label is not None:
                shard["labels"].append(source.label)
        return files

    def _splits_read(self) -> Iterator[tuple[str, str, Split]]:
        """Every mention of a data set whose tiles are read: place, data set, split."""
        config = self.config
        for name, backbone in config.backbone.items():
            if isinstance(backbone, SelfSupervisedSettings) and backbone.probe_dataset is not None:
                yield f"backbone.{name}.probe_split", backbone.probe_dataset, backbone.probe_split
        named = {f"backbone.{name}": one.datasets for name, one in config.backbone.items() if one.reads_tiles}
        named |= {f"codebook.{name}": one.datasets for name, one in config.codebook.items()}
        named |= {f"pretrain.{name}": one.datasets for name, one in config.pretrain.items() if isinstance(one, TrainedPretrainSettings)}
        for place, datasets in named.items():
            for dataset in datasets:
                yield f"{place}.datasets", dataset, "unlabelled"
        for name, tuned in config.finetune.items():
            if tuned.epochs != 0:
                yield f"finetune.{name}", tuned.dataset, "train"
            yield f"detect.split, for finetune.{name}", tuned.dataset, config.detect.split

    # What a stage takes from other sections ----------------------------------------------------------

    def _masks_and_boxes(self, variant: str) -> MasksAndBoxesSettings:
        boxes = self.config.boxes[variant]
        filters = {name: getattr(boxes, name) for name in BoxFilterSettings.model_fields}
        return MasksAndBoxesSettings(masks=self.config.masks[boxes.masks], **filters)

    def _kept_masks(self) -> list[str]:
        """Variants of masks that have tables: all but those of which only boxes are asked for."""
        boxes = self.config.boxes.values()
        passed_on = {settings.masks for settings in boxes if not settings.keep_masks} - {settings.masks for settings in boxes if settings.keep_masks}
        return [variant for variant in self.config.masks if variant not in passed_on]

    def _architecture(self, variant: str) -> dict[str, Any]:
        return {"architecture": self.config.detectors[self.config.pretrain[variant].detector]}

    def _ignored(self, variant: str) -> dict[str, Any]:
        return {"ignore_categories": self.config.datasets[self.config.finetune[variant].dataset].ignore_categories}

    def _experiment(self, variant: str) -> dict[str, Any]:
        settings = self.config.finetune[variant]
        facts = {name: getattr(settings, name) for name in ("dataset", "fraction", "seed", "epochs", "iterations")}
        method = self.config.pretrain[settings.pretrain].method
        return {"experiment": variant, "pretrain": method, "split": self.config.detect.split, **facts, **self._ignored(variant)}

    def _facts_of_run(self, _: str) -> dict[str, Any]:
        return {"budgets": self.config.budget, "shards": self.config.shards}

    def _detector_modules(self, stage: str, variant: str) -> list[str]:
        """Module of the detector that a stage trains or runs, which its settings name only through other sections."""
        name = stage.partition(" ")[0]
        if name not in ("pretrain", "finetune", "detect"):
            return []
        pretrain = variant if name == "pretrain" else self.config.finetune[variant].pretrain
        kind = self.config.detectors[self.config.pretrain[pretrain].detector].kind
        return modules(DETECTORS, kind)
