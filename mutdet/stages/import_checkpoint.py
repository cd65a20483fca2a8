"""Command `import_checkpoint`: a released ARS-DETR or MutDet checkpoint as a detector of ours."""

from dataclasses import asdict

from mutdet.detectors.importing import import_released
from mutdet.detectors.released_files import read_released
from mutdet.detectors.weights import save_detector
from mutdet.settings.base import Runtime
from mutdet.settings.console import log
from mutdet.settings.errors import UserError
from mutdet.settings.import_checkpoint import ImportCheckpointFiles, ImportCheckpointSettings
from mutdet.tables.write import write_provenance


def run(files: ImportCheckpointFiles, settings: ImportCheckpointSettings, runtime: Runtime) -> None:
    """Write the detector, and beside it the list of tensors taken, left and missing.

    Raises:
        UserError: the file is no such checkpoint, or the categories are not as many as its classes.
    """
    state, named = read_released(files.checkpoint)
    imported = import_released(state)
    classes = imported.model.classes
    categories = settings.categories or (named if len(named) == classes else [f"class_{number}" for number in range(classes)])
    if len(categories) != classes:
        raise UserError(f"{len(categories)} categories for {classes} classes", file=files.checkpoint, remedy="give one name per class, or none")
    report = imported.report
    log.info("%d tensors taken, %d left, %d missing", len(report.taken), len(report.left), len(report.missing))
    save_detector(files.output, imported.model, categories, {"imported_from": files.checkpoint.name, "backbone_method": "imagenet"})
    write_provenance(files.output, classes=classes, architecture=imported.model.settings.model_dump(mode="json"), **asdict(report))
