"""Data sets: where images and labels lie, how they are cut, and which shard an image belongs to.

Snakemake calls `list_images`, `shard_of` and `shard_name` while it reads the workflow, so nothing here opens an image.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from mutdet.settings.base import Files, Fraction, Settings, Variant
from mutdet.settings.errors import UserError

Split = Literal["unlabelled", "train", "val", "test"]
LabelFormat = Literal["dota", "dior_r"]
LABELLED: tuple[Split, ...] = ("train", "val")
"""Splits that must have labels; `test` may."""
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".jp2"})
LABEL_SUFFIXES: dict[LabelFormat, str] = {"dota": ".txt", "dior_r": ".xml"}
LABEL_SETTINGS = ("format", "labels", "label_fraction", "categories", "ignore_categories", "on_unknown_category", "on_zero_area")
"""Settings of a data set that nothing but labels is read with; tiles of split `unlabelled` have none."""
Byte = Annotated[int, Field(ge=0, le=255)]
BandNumber = Annotated[int, Field(ge=1)]


class DatasetSettings(Settings):
    """A data set and how `partition` cuts it into tiles."""

    format: LabelFormat = Field("dota", description="Label format: dota (text) or dior_r (XML).")
    images: Path | None = Field(None, description="Folder of images (PNG, JPEG, TIFF, BMP, JPEG 2000); the file name without its suffix is the image id.")
    labels: Path | None = Field(None, description="Folder of label files, one per image and named after it; none for an unlabelled data set.")
    scenes: Variant | None = Field(None, description="Variant of the scenes stage to take images, labels and splits from, instead of `images`.")
    splits: dict[Split, Literal["all"] | list[str] | Path] = Field(
        {"unlabelled": "all"},
        description="Images of each split: a text file with one image id or file name a line, a list of these, or `all`. "
        "`unlabelled` is the images of `train` unless given.",
    )
    window: int = Field(800, ge=16, le=16384, description="Side of a tile, pixels of the scaled image.")
    stride: int = Field(600, ge=1, le=16384, description="Distance between tiles, pixels of the scaled image; at most `window`.")
    scales: list[Annotated[float, Field(gt=0, le=16)]] = Field([1.0], min_length=1, description="Scales of the image at which it is cut.")
    content_fraction: Fraction = Field(0.6, description="A tile needs image data on more than this share of it, unless no other tile has that data.")
    label_fraction: Fraction = Field(0.7, description="An object belongs to a tile if at least this share of its area lies inside.")
    pad_colour: tuple[Byte, Byte, Byte] = Field((124, 116, 104), description="Red, green, blue beyond the image's border, 0 to 255.")
    bands: tuple[BandNumber, BandNumber, BandNumber] | None = Field(
        None,
        description="Bands, from 1, shown as red, green, blue. By default those that the file declares to be so, else the first three; "
        "with one or two bands the first, as grey.",
    )
    stretch: Literal["auto", "percentile", "range"] = Field(
        "auto",
        description="How values become 8 bit. percentile: 2nd to 98th percentile of each band over the whole image; range: all values of the unsigned type; "
        "auto: 8 bit as it is, percentile for everything else.",
    )
    categories: list[str] | None = Field(None, description="Classes that labels may name; by default any.")
    ignore_categories: list[str] = Field([], description="Categories that are no class: no training target, and detections on them do not count.")
    on_error: Literal["stop", "skip"] = Field("stop", description="Bad images and labels: stop at the first, or leave out, count and list them.")
    on_unknown_category: Literal["error", "skip"] = Field("error", description="Labels of a class outside `categories`: bad label, or counted and left out.")
    on_zero_area: Literal["error", "skip"] = Field("skip", description="Labels without area: bad label, or counted and left out.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.images is None) == (self.scenes is None):
            raise ValueError("give either images or scenes")
        if self.scenes is not None and (self.labels is not None or "splits" in self.model_fields_set):
            raise ValueError("scenes brings its own labels and splits; leave them out")
        needing = [split for split in LABELLED if split in self.splits]
        if self.images is not None and self.labels is None and needing:
            raise ValueError(f"split {needing[0]} needs labels; give a folder, or name its images under unlabelled")
        if self.stride > self.window:
            raise ValueError(f"stride {self.stride} is larger than window {self.window}: objects between tiles would be lost")
        if len({side for side, _ in self.source_windows()}) < len(self.scales):
            raise ValueError(f"two of the scales {self.scales} give windows of the same size")
        return self

    def source_windows(self) -> list[tuple[int, int]]:
        """Side and stride of the windows of each scale in source pixels, rounded to whole pixels."""
        return [(round(self.window / scale), max(1, round(self.stride / scale))) for scale in self.scales]

    def of_scenes(self, folder: Path, splits: Iterable[str]) -> Self:
        """The same settings for the images that the scenes stage writes to `folder`, with a list `<split>.txt` for each split."""
        lists = {split: folder / f"{split}.txt" for split in splits}
        values = self.model_dump(exclude={"scenes", "images", "labels", "splits"})
        return type(self)(**values, images=folder / "images", labels=folder / "labelTxt", splits=lists)

    def of_split(self, split: Split) -> Self:
        """What decides the tiles of one split: its own images alone, and for `unlabelled` nothing that only labels are read with.

        A split that does not exist has no images.
        """
        given = self.splits.get(split, self.splits.get("train") if split == "unlabelled" else None)
        unread = LABEL_SETTINGS if split == "unlabelled" else ()
        defaults = {name: type(self).model_fields[name].get_default() for name in unread}
        return self.model_copy(update={"splits": {} if given is None else {split: given}, **defaults})

    def split_names(self) -> list[Split]:
        """Splits that exist, in the order of `Split`; `unlabelled` also where only `train` is given."""
        given = {*self.splits, *(("unlabelled",) if "train" in self.splits else ())}
        return [split for split in get_args(Split) if split in given]


class PartitionTilesFiles(Files):
    """Cut one shard of one split of a data set into tiles."""

    name: Variant = Field(description="Name of the data set, written into the tables.")
    split: Split = Field(description="Split to cut.")
    shard: int = Field(0, ge=0, description="Number of the shard, from 0.")
    shards: int = Field(1, ge=1, description="Number of shards that the split is cut into.")
    output: Path = Field(description="Table of tiles to write.")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.shard >= self.shards:
            raise ValueError(f"shard {self.shard} does not exist: {self.shards} shards count from 0")
        return self


class PartitionIndexFiles(Files):
    """List the images and labels of a data set."""

    written = ("image_table", "label_table")

    name: Variant = Field(description="Name of the data set, written into the tables.")
    image_table: Path = Field(description="Table of images to write.")
    label_table: Path = Field(description="Table of labels to write.")


@dataclass(frozen=True, slots=True)
class SourceImage:
    """An image of a data set.

    Attributes:
        image_id: file name without its suffix.
        path: the image.
        label: its label file; None where there is none, or where every split of the image is unlabelled.
        splits: splits that hold it, in alphabetical order.
    """

    image_id: str
    path: Path
    label: Path | None
    splits: tuple[Split, ...]


def shard_of(image_id: str, shards: int) -> int:
    """Shard of an image: follows from its id alone, so that a new image changes one shard."""
    return int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:8], "big") % shards


def shard_name(shard: int, shards: int) -> str:
    """Name of a shard's file without suffix, such as 00-of-04."""
    digits = max(2, len(str(shards)))
    return f"{shard:0{digits}d}-of-{shards:0{digits}d}"


def list_images(dataset: DatasetSettings, name: str) -> list[SourceImage]:
    """Images of all splits of data set `name`, sorted by id. Reads folders and lists, no image and no label.

    Raises:
        UserError: no folder, no images, two images with one id, a name that Snakemake cannot use, or a split that names no image, a missing one or one twice.
    """
    if dataset.images is None:
        raise UserError("its scenes have no folder yet", record=f"dataset {name}", remedy="call of_scenes first")
    paths = _files_by_id(dataset.images, IMAGE_SUFFIXES)
    if not paths:
        raise UserError("holds no images", file=dataset.images, remedy=f"dataset {name} needs files ending in {', '.join(sorted(IMAGE_SUFFIXES))}")
    labels = _files_by_id(dataset.labels, {LABEL_SUFFIXES[dataset.format]}) if dataset.labels and dataset.labels.is_dir() else {}
    members: dict[str, list[str]] = {split: _members(split, selection, paths) for split, selection in dataset.splits.items()}
    found = _with_splits(paths, labels, members)
    for image in found:
        _check_name(image.path)
    return found


def list_scenes(folder: Path, image_ids: Mapping[str, Sequence[str]]) -> list[SourceImage]:
    """What `list_images` finds once the scenes stage has written the images `image_ids` of each split to `folder`."""
    ids = {image_id for members in image_ids.values() for image_id in members}
    paths = {image_id: folder / "images" / f"{image_id}.png" for image_id in ids}
    labels = {image_id: folder / "labelTxt" / f"{image_id}.txt" for image_id in ids}
    return _with_splits(paths, labels, image_ids)


def select_images(images: Iterable[SourceImage], split: Split, shard: int = 0, shards: int = 1) -> list[SourceImage]:
    """Images of one shard of a split, sorted by id."""
    return [image for image in images if split in image.splits and shard_of(image.image_id, shards) == shard]


def labelled_splits(images: Iterable[SourceImage]) -> set[Split]:
    """Splits whose tiles carry labels: train and val, and test where any of its images has a label file."""
    tested: tuple[Split, ...] = ("test",) if any("test" in image.splits and image.label is not None for image in images) else ()
    return {*LABELLED, *tested}


def missing_label(dataset: DatasetSettings, image: SourceImage) -> UserError:
    """What to tell where an image of a labelled split has no label file."""
    expected = f"{image.image_id}{LABEL_SUFFIXES[dataset.format]}"
    where = dataset.labels or dataset.images
    return UserError(f"label file {expected} is missing", file=where, record=f"image {image.image_id}", remedy="add it, or take the image out of the split")


def check_labels(dataset: DatasetSettings, images: Sequence[SourceImage]) -> None:
    """Check that images of labelled splits have label files, without opening them; a data set that skips errors passes.

    Raises:
        UserError: naming the first image without a label file.
    """
    labelled = labelled_splits(images)
    for image in images:
        if dataset.on_error == "stop" and image.label is None and labelled.intersection(image.splits):
            raise missing_label(dataset, image)


def check_unique_ids(datasets: Mapping[str, Sequence[SourceImage]]) -> None:
    """Check that no two data sets of a run share an image id.

    Raises:
        UserError: naming both files.
    """
    owners: dict[str, tuple[str, Path]] = {}
    for name, images in datasets.items():
        for image in images:
            other, path = owners.setdefault(image.image_id, (name, image.path))
            if other != name:
                raise UserError(f"has the image id of {path}", file=image.path, remedy=f"rename one: datasets {other} and {name} belong to one run")


def _files_by_id(folder: Path, suffixes: Iterable[str]) -> dict[str, Path]:
    """Files of a folder with one of the suffixes, by name without suffix; hidden files are left out."""
    found: dict[str, Path] = {}
    allowed = frozenset(suffixes)
    if not folder.is_dir():
        raise UserError("folder does not exist", file=folder, remedy="correct the path in the dataset's settings")
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    for file_name in names:
        stem, suffix = os.path.splitext(file_name)
        if suffix.lower() not in allowed or file_name.startswith("."):
            continue
        if stem in found:
            raise UserError(f"has the id of {found[stem].name}", file=folder / file_name, remedy="rename or remove one of the two")
        found[stem] = folder / file_name
    return found


def _check_name(path: Path) -> None:
    """Refuse names that Snakemake reads as a pattern, and those that no table can hold."""
    if "{" in path.name or "}" in path.name:
        raise UserError("has a brace in its name, which Snakemake takes for a wildcard", file=path, remedy="rename it")
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        shown = str(path).encode(errors="backslashreplace").decode()
        raise UserError("has a name that is no UTF-8", file=shown, remedy="rename it") from error


def _members(split: Split, selection: Literal["all"] | list[str] | Path, paths: Mapping[str, Path]) -> list[str]:
    """Image ids of a split."""
    if selection == "all":
        return list(paths)
    source = selection if isinstance(selection, Path) else f"split {split}"
    by_file_name = {path.name: image_id for image_id, path in paths.items()}
    members: dict[str, None] = {}
    for record, entry in _entries(selection, split):
        image_id = entry if entry in paths else by_file_name.get(PurePosixPath(entry).name)
        if image_id is None:
            raise UserError(f"image {entry!r} does not exist", file=source, record=record, remedy="add the image or remove the entry")
        if image_id in members:
            raise UserError(f"image {entry!r} is listed twice", file=source, record=record, remedy="remove one of the two entries")
        members[image_id] = None
    if not members:
        raise UserError("names no image", file=source, remedy=f"list the images of split {split}, or leave the split out of the settings")
    return list(members)


def _entries(selection: str | list[str] | Path, split: Split) -> list[tuple[str, str]]:
    """Where and what each entry of a list is, blank lines left out."""
    if isinstance(selection, list):
        return [(f"entry {number}", entry) for number, entry in enumerate(selection, start=1)]
    path = Path(selection)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError("is no readable list of images", file=path, remedy=f"give split {split} a text file with one image id a line") from error
    return [(f"line {number}", line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]


def _with_splits(paths: Mapping[str, Path], labels: Mapping[str, Path], members: Mapping[str, Sequence[str]]) -> list[SourceImage]:
    members = {"unlabelled": members.get("train", ()), **members}
    holding: dict[str, list[Split]] = {}
    for split in sorted(get_args(Split)):
        for image_id in members.get(split, ()):
            holding.setdefault(image_id, []).append(split)
    return [
        SourceImage(image_id, paths[image_id], labels.get(image_id) if splits != ["unlabelled"] else None, tuple(splits))
        for image_id, splits in sorted(holding.items())
    ]
