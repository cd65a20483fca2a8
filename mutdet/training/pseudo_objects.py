"""Pseudo labels as targets of pre-training. No column of a tile's own labels is read here."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mutdet.settings.errors import UserError
from mutdet.tables.read import read_table
from mutdet.tables.vectors import column_to_vectors
from mutdet.training.objects import PackedObjects, pack
from mutdet.training.tile_index import TileIndex

_BOX = ["cx", "cy", "w", "h", "angle"]
_COLUMNS = ["tile_id", "mask_id", *_BOX, "score", "category"]


def read_pseudo_objects(paths: Sequence[Path], index: TileIndex, min_side: float, limit: int, width: int | None) -> PackedObjects:
    """Pseudo objects of indexed tiles, at most `limit` a tile, highest score first.

    Rows are chosen whole, so that box, class and embedding of an object never part (docs/method.md E 1, E 7). Memory holds the rows kept
    and one table.

    Args:
        paths: tables of pseudo labels.
        index: tiles.
        min_side: boxes with a shorter side, in pixels of the tile, are left out.
        limit: largest number per tile, the detector's number of queries.
        width: length that embeddings must have; None leaves them out.

    Raises:
        UserError: no table given, a pseudo label of a tile that is not indexed, or embeddings of another length.
    """
    if not paths:
        raise UserError("no table of pseudo labels given", remedy="name those that the stage pseudo_labels wrote")
    numbers = {name: number for number, name in enumerate(index.tile_ids)}
    parts = [_read(path, numbers, min_side, limit, width) for path in paths]
    tile, boxes, labels, embeddings = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return pack(len(index), tile, boxes, labels, embeddings if width is not None else None)


def _read(path: Path, numbers: dict[str, int], min_side: float, limit: int, width: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    table = read_table(path, [*_COLUMNS, "embedding"] if width is not None else _COLUMNS)
    tile = _tile_numbers(path, table, numbers)
    large = np.flatnonzero(np.minimum(table["w"].to_numpy(), table["h"].to_numpy()) >= min_side)
    order = large[np.lexsort((table["mask_id"].to_numpy()[large], -table["score"].to_numpy()[large], tile[large]))]
    rows = order[_rank_within_group(tile[order]) < limit]
    kept = table.take(pa.array(rows))
    boxes = np.stack([kept[name].to_numpy() for name in _BOX], axis=1)
    return tile[rows], boxes, kept["category"].to_numpy(), _embeddings(path, kept, width)


def _embeddings(path: Path, kept: pa.Table, width: int | None) -> np.ndarray:
    if width is None:
        return np.zeros((len(kept), 0), np.float16)
    embeddings = column_to_vectors(kept["embedding"])
    if embeddings.shape[1] != width:
        remedy = "set components of the codebook to the detector's width"
        raise UserError(f"embeddings have {embeddings.shape[1]} components, the detector is {width} wide", file=path, remedy=remedy)
    return embeddings.astype(np.float16)


def _tile_numbers(path: Path, table: pa.Table, numbers: dict[str, int]) -> np.ndarray:
    encoded = pc.dictionary_encode(table["tile_id"].combine_chunks())
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    names = encoded.dictionary.to_pylist()
    unknown = next((name for name in names if name not in numbers), None)
    if unknown is not None:
        raise UserError("is not among the tiles given", file=path, record=unknown, remedy="give the tables of tiles that the pseudo labels were made from")
    lookup = np.fromiter((numbers[name] for name in names), np.int64, len(names))
    return lookup[encoded.indices.to_numpy(zero_copy_only=False)]


def _rank_within_group(groups: np.ndarray) -> np.ndarray:
    """[R] position of each row within its run of equal values."""
    starts = np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1)) if len(groups) else np.zeros(0, np.int64)
    return np.arange(len(groups)) - np.repeat(starts, np.diff(starts, append=len(groups)))
