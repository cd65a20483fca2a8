"""From boxes of tiles to one vector each."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mutdet.embedding.ahead import mapped_ahead
from mutdet.embedding.backbones import Backbone
from mutdet.embedding.rotated_crops import rotated_crops
from mutdet.embedding.tile_images import decode_image, normalised
from mutdet.settings.embed import EmbedSettings
from mutdet.settings.errors import UserError

Row = Mapping[str, Any]


class CropEmbedder:
    """Embeds boxes with a frozen backbone in batches that reach across tiles; meanwhile the next tile is decoded and, on a CPU, the next crops are cut.

    Every forward pass has exactly `batch` crops, the last one filled up with zeros: then an object's vector does not
    depend on what else is embedded, bit for bit on a CPU.

    Args:
        backbone: in evaluation mode.
        settings: crop, enlarge, batch.
        device: where crops are cut and passed.
    """

    def __init__(self, backbone: Backbone, settings: EmbedSettings, device: torch.device) -> None:
        self._backbone = backbone.to(device).eval()
        self._settings = settings
        self._device = device

    def embed(self, tiles: Iterable[Row], boxes: Iterable[Row]) -> Iterator[tuple[list[tuple[str, int]], np.ndarray]]:
        """Keys (tile_id, mask_id) and vectors [rows, D] float32, at most `batch` rows at a time, in the order of the boxes.

        Args:
            tiles: rows with tile_id and image; the image is decoded once, and only where there are boxes.
            boxes: rows with tile_id, mask_id, cx, cy, w, h, angle; tiles in the order of `tiles`.

        Raises:
            UserError: a box's tile is not among the tiles, or a vector does not fit into float16.
        """
        crops = self._crops(tiles, boxes)
        while batch := list(islice(crops, self._settings.batch)):
            keys, images = zip(*batch, strict=True)
            yield list(keys), self._forward(torch.stack(images), keys)

    def _crops(self, tiles: Iterable[Row], boxes: Iterable[Row]) -> Iterator[tuple[tuple[str, int], Tensor]]:
        parts = self._parts(tiles, boxes)
        # A card works while this process goes on; a CPU needs a thread for that.
        cut = mapped_ahead(self._cut, parts, workers=1) if self._device.type == "cpu" else map(self._cut, parts)
        for rows, crops in cut:
            for row, crop in zip(rows, crops, strict=True):
                yield (row["tile_id"], row["mask_id"]), crop

    def _parts(self, tiles: Iterable[Row], boxes: Iterable[Row]) -> Iterator[tuple[list[Row], Tensor]]:
        """At most `batch` boxes of a tile at a time, with the image of it."""
        for rows, pixels in mapped_ahead(_decoded, _joined(tiles, boxes), workers=1):
            image = pixels.to(self._device)
            for start in range(0, len(rows), self._settings.batch):
                yield rows[start : start + self._settings.batch], image

    def _cut(self, part: tuple[list[Row], Tensor]) -> tuple[list[Row], Tensor]:
        rows, image = part
        numbers = [[row[name] for name in ("cx", "cy", "w", "h", "angle")] for row in rows]
        boxes = torch.tensor(numbers, dtype=torch.float32, device=self._device)
        return rows, rotated_crops(image, boxes, self._settings.crop, self._settings.enlarge)

    @torch.inference_mode()
    def _forward(self, crops: Tensor, keys: tuple[tuple[str, int], ...]) -> np.ndarray:
        missing = self._settings.batch - len(crops)
        full = torch.cat([crops, crops.new_zeros(missing, *crops.shape[1:])]) if missing else crops
        vectors = self._backbone(full).mean(dim=(2, 3))[: len(crops)].float().cpu().numpy()
        bad = np.flatnonzero(~(np.abs(vectors) < np.finfo(np.float16).max).all(axis=1))
        if len(bad):
            raise UserError("embedding does not fit into float16", record=keys[bad[0]], remedy="use a backbone whose batch normalisation fits its weights")
        return vectors


def _decoded(tile_and_rows: tuple[Row, list[Row]]) -> tuple[list[Row], Tensor]:
    tile, rows = tile_and_rows
    return rows, normalised(decode_image(tile["image"], tile["tile_id"]))


def _joined(tiles: Iterable[Row], boxes: Iterable[Row]) -> Iterator[tuple[Row, list[Row]]]:
    """Tiles that have boxes, each with its boxes."""
    groups = ((tile_id, list(rows)) for tile_id, rows in groupby(boxes, key=itemgetter("tile_id")))
    waiting = next(groups, None)
    for tile in tiles:
        if waiting is not None and tile["tile_id"] == waiting[0]:
            yield tile, waiting[1]
            waiting = next(groups, None)
    if waiting is not None:
        raise UserError("boxes of a tile that is not in the table of tiles", record=waiting[0], remedy="give tables of the same shard, sorted by key")
