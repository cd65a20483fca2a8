"""Stage `partition`: source images become tiles, and an index of images and labels in source pixels."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from mutdet.data.bad_input import BadInput
from mutdet.data.images import ImageReader, open_image
from mutdet.data.labels import load_labels
from mutdet.data.orientation import warn_of_orientation
from mutdet.data.shard import ShardTiles
from mutdet.settings.base import Runtime
from mutdet.settings.console import log, progress
from mutdet.settings.datasets import (
    DatasetSettings,
    PartitionIndexFiles,
    PartitionTilesFiles,
    SourceImage,
    Split,
    check_labels,
    labelled_splits,
    list_images,
    missing_label,
    select_images,
)
from mutdet.settings.errors import UserError
from mutdet.tables import images as images_table
from mutdet.tables import labels as labels_table
from mutdet.tables import tiles as tiles_table
from mutdet.tables.write import TableWriter, write_provenance


def run_tiles(files: PartitionTilesFiles, settings: DatasetSettings, runtime: Runtime) -> None:
    """Cut one shard of a split into tiles.

    Raises:
        UserError: a bad image or label where the data set does not skip these, a missing label file, or no images.
    """
    cv2.setNumThreads(1)  # shards run in parallel
    listed = list_images(settings, files.name)
    labelled = labelled_splits(listed)
    chosen = select_images(listed, files.split, files.shard, files.shards)
    if files.split in labelled:
        check_labels(settings, listed)
    bad = BadInput(settings.on_error)
    files.output.parent.mkdir(parents=True, exist_ok=True)
    tiles = ShardTiles(files.name, settings, chosen, annotated=files.split in labelled, bad=bad, spool_folder=files.output.parent)
    with TableWriter(files.output, tiles_table.SCHEMA, rows_per_group=tiles_table.ROWS_PER_GROUP, uncompressed=["image"]) as writer:
        for row in progress(tiles, f"partition {files.name} {files.split}"):
            writer.write([row])
    _finish(files.output, settings, tiles.counts, bad)


def run_index(files: PartitionIndexFiles, settings: DatasetSettings, runtime: Runtime) -> None:
    """Write the tables of images (all splits) and of labels (labelled splits).

    A data set that skips bad images has every image decoded here too, so that the index holds what the tiles hold.

    Raises:
        UserError: as `run_tiles`.
    """
    listed = list_images(settings, files.name)
    labelled = labelled_splits(listed)
    check_labels(settings, listed)
    _warn_of_overlap(listed)
    bad, counts = BadInput(settings.on_error), Counter[str]()
    with TableWriter(files.image_table, images_table.SCHEMA) as images, TableWriter(files.label_table, labels_table.SCHEMA) as labels:
        for image in progress(listed, f"index {files.name}"):
            try:
                row = _image_row(files.name, image, settings, counts)
            except UserError as error:
                bad.image(error)
                continue
            label_rows, row["split"] = _label_rows(files.name, image, settings, labelled, bad, counts)
            if row["split"]:
                images.write([row])
                labels.write(label_rows)
    counts.update(images=images.rows, objects=labels.rows)
    _finish(files.image_table, settings, counts, bad)


def _image_row(name: str, image: SourceImage, settings: DatasetSettings, counts: Counter[str]) -> dict[str, Any]:
    with open_image(image.path, settings.bands, settings.stretch) as reader:
        if settings.on_error == "skip":
            reader.check()
        counts["rotated_images"] += warn_of_orientation(image.path)
        return {"dataset": name, "image_id": image.image_id, "path": _recorded(image.path), "sha256": _sha256(image.path), **_properties(reader)}


def _properties(reader: ImageReader) -> dict[str, Any]:
    return {"width": reader.width, "height": reader.height, "bands": reader.bands, "crs": reader.crs, "transform": reader.transform}


def _label_rows(
    name: str, image: SourceImage, settings: DatasetSettings, labelled: set[Split], bad: BadInput, counts: Counter[str]
) -> tuple[list[dict[str, Any]], list[Split]]:
    """Rows of an image's labels, and the splits that hold the image: not the labelled ones if its label file cannot be used."""
    if not labelled.intersection(image.splits):
        return [], list(image.splits)
    try:
        if image.label is None:
            raise missing_label(settings, image)
        labels = load_labels(image.label, settings, bad, counts)
    except UserError as error:
        bad.image(error)
        return [], [split for split in image.splits if split not in labelled]
    key = {"dataset": name, "image_id": image.image_id}
    rows = [
        {**key, "label_id": label.label_id, "polygon": label.polygon.ravel().tolist(), "category": label.category, "difficulty": label.difficulty}
        for label in labels
    ]
    return rows, list(image.splits)


def _warn_of_overlap(images: Sequence[SourceImage]) -> None:
    both = [image.image_id for image in images if "train" in image.splits and {"val", "test"}.intersection(image.splits)]
    if both:
        log.warning("%d images are in train and in val or test, such as %s", len(both), both[0])


def _recorded(path: Path) -> str:
    """Path relative to the working folder where it lies below it, else absolute."""
    absolute, here = Path(os.path.abspath(path)), Path.cwd()
    return (absolute.relative_to(here) if absolute.is_relative_to(here) else absolute).as_posix()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _finish(table: Path, settings: DatasetSettings, counts: Counter[str], bad: BadInput) -> None:
    """Log and record what was done and what was left out."""
    counts.update(bad_images=len(bad.images), bad_labels=len(bad.labels))
    log.info("%s: %s", table.name, ", ".join(f"{name} {count}" for name, count in sorted(counts.items())))
    write_provenance(table, settings=settings.model_dump(mode="json"), counts=dict(counts), bad_images=bad.images, bad_labels=bad.labels)
