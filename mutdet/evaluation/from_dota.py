"""Evaluation of foreign results: Task 1 files against a folder of DOTA label files."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from mutdet.data.formats.dota import read_labels
from mutdet.data.label import Label
from mutdet.evaluation.objects import NO_CLASS, Detections, EvaluationSet, GroundTruth
from mutdet.evaluation.submission import read_class_detections, submission_file, submission_files
from mutdet.settings.console import log
from mutdet.settings.errors import UserError


def load_dota_results(detections: Path, labels: Path, images: Path, ignored: Collection[str]) -> EvaluationSet:
    """Detections and labels of all images of a list; the classes are those of the labels, in alphabetical order.

    Args:
        detections: folder of Task1_<class>.txt files, one for each class of the labels.
        labels: folder of label files <image id>.txt.
        images: text file with one image id a line.
        ignored: categories that are no class.

    Raises:
        UserError: a file is missing or malformed, or a detection belongs to an image that is not listed.
    """
    ids = _read_list(images)
    labelled = [(number, label) for number, name in enumerate(ids) for label in _read_labels(labels, name)]
    categories = sorted({label.category for _, label in labelled} - set(ignored))
    truth = GroundTruth(
        image=np.array([number for number, _ in labelled], dtype=np.int64),
        category=np.array([categories.index(label.category) if label.category in categories else NO_CLASS for _, label in labelled], dtype=np.int64),
        polygons=np.array([label.polygon for _, label in labelled]).reshape(-1, 4, 2),
        difficult=np.array([label.difficulty > 0 for _, label in labelled], dtype=bool),
    )
    return EvaluationSet(ids, categories, _read_detections(detections, ids, categories), truth)


def _read_list(path: Path) -> list[str]:
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("cannot be read as a list of images", file=path, remedy="name a text file with one image id a line") from error
    if not names:
        raise UserError("lists no image", file=path, remedy="name a text file with one image id a line")
    if len(set(names)) < len(names):
        twice = next(name for position, name in enumerate(names) if name in names[:position])
        raise UserError("is listed twice", file=path, record=twice, remedy="list each image once")
    return names


def _read_labels(folder: Path, name: str) -> list[Label]:
    path = folder / f"{name}.txt"
    if not path.is_file():
        raise UserError("label file is missing", file=path, remedy=f"add it, empty if the image has no object, or take {name} off the list")
    return read_labels(path, _refuse)


def _refuse(error: UserError) -> None:
    raise error


def _read_detections(folder: Path, ids: list[str], categories: list[str]) -> Detections:
    files = submission_files(folder)
    for name in categories:
        if name not in files:
            raise UserError("file is missing", file=submission_file(folder, name), remedy="add it, empty if nothing of the class was found")
    known = {image_id: number for number, image_id in enumerate(ids)}
    parts = []
    for name, path in files.items():
        content = read_class_detections(path)
        for unknown in sorted(set(content.image_ids) - set(known))[:1]:
            raise UserError("image is not in the list", file=path, record=unknown, remedy="add it to the list, or leave out its detections")
        if name not in categories:
            log.warning("%s: no label is of class %s, so that it has no AP", path, name)
        number = categories.index(name) if name in categories else NO_CLASS
        image = np.array([known[image_id] for image_id in content.image_ids], dtype=np.int64)
        parts.append(Detections(image, np.full(len(image), number), content.polygons, content.scores))
    return Detections(*(np.concatenate([getattr(part, column) for part in parts]) for column in ("image", "category", "polygons", "scores")))
