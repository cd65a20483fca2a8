"""Rows of the table of tiles for one shard of a split."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any

from mutdet.data.bad_input import BadInput
from mutdet.data.images import open_image
from mutdet.data.label import Label
from mutdet.data.labels import load_labels
from mutdet.data.orientation import warn_of_orientation
from mutdet.data.tile_labels import TileLabels
from mutdet.data.tiling import cut_windows, encode_png
from mutdet.data.windows import Window, select_windows
from mutdet.settings.console import log
from mutdet.settings.datasets import DatasetSettings, SourceImage, missing_label
from mutdet.settings.errors import UserError

_SPOOL_MEMORY = 1 << 26
"""Bytes of encoded tiles of one image that stay in memory; what is beyond goes to a temporary file."""
_LOOKS_PER_SIDE = 32
"""Pixels along the side of the smallest window that are looked at for data: a straight edge of it is found to 3 % of the window."""


class ShardTiles:
    """Tiles of some images in the order of their ids, with bounded memory.

    Sizes are read first, so that all ids are known; each image is cut when its first tile is asked for and kept, encoded, until its last is.
    (Ids of two images may interleave, as those of `P0001` and of a pre-cut `P0001__800__300___0`.)

    Args:
        name: of the data set.
        dataset: how to read and cut.
        images: of the shard.
        annotated: splits' tiles carry labels; without, no label file is opened.
        bad: takes images and labels that cannot be used.
        spool_folder: for encoded tiles that do not fit into memory.

    Attributes:
        counts: what the provenance file says, complete once all rows are read.
    """

    def __init__(self, name: str, dataset: DatasetSettings, images: Sequence[SourceImage], *, annotated: bool, bad: BadInput, spool_folder: Path) -> None:
        self.counts: Counter[str] = Counter(images=0, images_without_data=0, tiles=0, dropped_windows=0, padded_tiles=0, rotated_images=0)
        self._name, self._dataset, self._annotated, self._bad, self._spool_folder = name, dataset, annotated, bad, spool_folder
        self._plans: dict[str, tuple[list[Window], int]] = {}
        self._images = {image.image_id: image for image in images}
        for image in images:
            try:
                self._plans[image.image_id] = self._plan(image)
            except UserError as error:
                bad.image(error)
        self._order = sorted((window.tile_id(image_id), image_id) for image_id, (windows, _) in self._plans.items() for window in windows)

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        spools: dict[str, _Spool] = {}
        with ExitStack() as files:
            for tile_id, image_id in self._order:
                if image_id not in spools:
                    spools[image_id] = _Spool(files.enter_context(SpooledTemporaryFile(_SPOOL_MEMORY, dir=str(self._spool_folder))))
                    self._cut_or_skip(self._images[image_id], spools[image_id])
                spool = spools[image_id]
                if len(spool):
                    yield spool.take(tile_id)
                if not len(spool):
                    spool.close()

    def _plan(self, image: SourceImage) -> tuple[list[Window], int]:
        with open_image(image.path, self._dataset.bands, self._dataset.stretch) as reader:
            valid = reader.valid_data(max(1, min(side for side, _ in self._dataset.source_windows()) // _LOOKS_PER_SIDE))
            windows, dropped = select_windows(reader.width, reader.height, self._dataset, valid)
        if not windows:
            log.warning("%s: holds no data, gives no tile (all of it is transparent, masked or of the value that it declares for none)", image.path)
            self.counts.update(images_without_data=1, dropped_windows=dropped)
        return windows, dropped

    def _cut_or_skip(self, image: SourceImage, spool: "_Spool") -> None:
        counts: Counter[str] = Counter()
        try:
            self._cut(image, spool, counts)
        except UserError as error:
            spool.clear()
            self._bad.image(error)
        else:
            self.counts.update(counts)

    def _cut(self, image: SourceImage, spool: "_Spool", counts: Counter[str]) -> None:
        labels = TileLabels(self._labels(image, counts), self._dataset.label_fraction, counts) if self._annotated else None
        windows, counts["dropped_windows"] = self._plans[image.image_id]
        counts["rotated_images"] += warn_of_orientation(image.path)
        with open_image(image.path, self._dataset.bands, self._dataset.stretch) as reader:
            for window, tile in cut_windows(reader, windows, self._dataset.window, self._dataset.pad_colour):
                scale = self._dataset.window / window.side
                row = {
                    "tile_id": window.tile_id(image.image_id),
                    "dataset": self._name,
                    "image_id": image.image_id,
                    "x": window.x,
                    "y": window.y,
                    "width": self._dataset.window,
                    "height": self._dataset.window,
                    "scale": scale,
                    "content_fraction": window.content,
                    "labels": labels.of(window, scale) if labels else [],
                }
                spool.add(row, encode_png(tile))
                counts["tiles"] += 1
                counts["padded_tiles"] += window.content < 1
        counts["images"] += 1
        if labels:
            labels.finish()

    def _labels(self, image: SourceImage, counts: Counter[str]) -> list[Label]:
        if image.label is None:
            raise missing_label(self._dataset, image)
        return load_labels(image.label, self._dataset, self._bad, counts)


class _Spool:
    """Rows whose encoded tiles lie in a file, which is closed here once they are taken, and by who opened it where that never happens."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._rows: dict[str, tuple[dict[str, Any], int, int]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: dict[str, Any], encoded: bytes) -> None:
        self._rows[row["tile_id"]] = (row, self._file.tell(), len(encoded))
        self._file.write(encoded)

    def take(self, tile_id: str) -> dict[str, Any]:
        row, position, size = self._rows.pop(tile_id)
        self._file.seek(position)
        return {**row, "image": self._file.read(size)}

    def clear(self) -> None:
        self._rows.clear()

    def close(self) -> None:
        self._file.close()
