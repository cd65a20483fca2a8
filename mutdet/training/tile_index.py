"""Which tiles a training reads: sorted by id, so that nothing depends on how tables are cut into shards."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np

from mutdet.settings.errors import UserError
from mutdet.tables.read import RandomReader, read_table


@dataclass(frozen=True)
class TileIndex:
    """Ids of tiles and where each stands in the tables.

    Attributes:
        paths: tables of tiles.
        tile_ids: sorted.
        image_ids: source image of each tile.
        positions: row of each tile, counted through all tables.
    """

    paths: tuple[Path, ...]
    tile_ids: tuple[str, ...]
    image_ids: tuple[str, ...]
    positions: np.ndarray

    @classmethod
    def read(cls, paths: Sequence[Path]) -> Self:
        """Index of whole tables; memory grows with the number of tiles, not with their pixels.

        Raises:
            UserError: no tile at all, or two tiles with one id.
        """
        table = read_table(paths, ["tile_id", "image_id"])
        tile_ids, image_ids = table["tile_id"].to_pylist(), table["image_id"].to_pylist()
        order = sorted(range(len(tile_ids)), key=tile_ids.__getitem__)
        for first, second in pairwise(order):
            if tile_ids[first] == tile_ids[second]:
                raise UserError("stands in the tables of tiles twice", record=tile_ids[first], remedy="give image files unique names")
        if not order:
            raise UserError("holds no tile", file=paths[0], remedy="check the data set's images and splits")
        return cls(tuple(paths), tuple(tile_ids[i] for i in order), tuple(image_ids[i] for i in order), np.asarray(order, np.int64))

    def __len__(self) -> int:
        return len(self.tile_ids)

    def keep(self, mask: Sequence[bool] | np.ndarray) -> "TileIndex":
        """The tiles for which `mask` is true."""
        chosen = np.flatnonzero(np.asarray(mask, bool))
        return TileIndex(self.paths, tuple(self.tile_ids[i] for i in chosen), tuple(self.image_ids[i] for i in chosen), self.positions[chosen])

    def reader(self, columns: Sequence[str]) -> RandomReader:
        """Reader of single rows at `positions`."""
        return RandomReader(self.paths, columns)
