"""Stage `pseudo_labels`: join boxes with their projected embeddings and pseudo-classes."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa
from threadpoolctl import threadpool_limits

from mutdet.embedding.codebooks import Codebook
from mutdet.embedding.object_stream import embedding_width
from mutdet.settings.base import Runtime
from mutdet.settings.console import progress
from mutdet.settings.errors import UserError
from mutdet.settings.pseudo_labels import PseudoLabelsFiles, PseudoLabelsSettings
from mutdet.tables import pseudo_labels
from mutdet.tables.read import iterate_row_groups, open_table
from mutdet.tables.vectors import column_to_vectors, vectors_to_column
from mutdet.tables.write import TableWriter, write_provenance

_KEY = pseudo_labels.KEY
_FROM_BOXES = [*_KEY, "cx", "cy", "w", "h", "angle", "polygon", "score"]


def run(files: PseudoLabelsFiles, settings: PseudoLabelsSettings, runtime: Runtime) -> None:
    """Write one row per embedded box.

    Raises:
        UserError: the codebook is of another backbone, or boxes and embeddings are not the same objects.
    """
    codebook = Codebook.load(files.codebook)
    width = embedding_width([files.embeddings])
    if width != len(codebook.mean):
        raise UserError(f"embeddings have {width} numbers, the codebook wants {len(codebook.mean)}", file=files.embeddings, remedy="use tables of one variant")
    schema = pseudo_labels.schema(len(codebook.components))
    with threadpool_limits(limits=1), TableWriter(files.output, schema) as writer:
        blocks = -(-open_table(files.embeddings).metadata.num_rows // settings.rows)
        for boxes, embeddings in progress(_joined(files.boxes, files.embeddings, settings.rows), "pseudo labels", blocks):
            writer.write(_labelled(boxes, embeddings, codebook, schema))
    write_provenance(files.output, settings=settings.model_dump(mode="json"), objects=writer.rows)


def _labelled(boxes: pa.Table, embeddings: pa.Table, codebook: Codebook, schema: pa.Schema) -> pa.Table:
    unit = codebook.project(column_to_vectors(embeddings["embedding"]))
    category, similarity = codebook.assign(unit)
    columns = [*boxes.select(_FROM_BOXES).columns, pa.array(category), pa.array(similarity), vectors_to_column(unit)]
    return pa.table(columns, schema=schema)


def _joined(boxes: Path, embeddings: Path, rows: int) -> Iterator[tuple[pa.Table, pa.Table]]:
    pairs = zip_longest(_blocks(boxes, _FROM_BOXES, rows), _blocks(embeddings, [*_KEY, "embedding"], rows))
    for left, right in pairs:
        if left is None or right is None or not left.select(_KEY).equals(right.select(_KEY)):
            raise UserError(f"objects differ from those of {boxes}", file=embeddings, record=_first_difference(left, right), remedy="run the embed stage again")
        yield left, right


def _blocks(path: Path, columns: list[str], rows: int) -> Iterator[pa.Table]:
    """Tables of exactly `rows` rows, the last one shorter, whatever the row groups of the file."""
    pending: pa.Table | None = None
    for table in iterate_row_groups(path, columns):
        pending = table if pending is None else pa.concat_tables([pending, table])
        while len(pending) >= rows:
            yield pending.slice(0, rows)
            pending = pending.slice(rows)
    if pending is not None and len(pending):
        yield pending


def _first_difference(left: pa.Table | None, right: pa.Table | None) -> object:
    keys = [[] if table is None else table.select(_KEY).to_pylist() for table in (left, right)]
    for ours, theirs in zip_longest(*keys):
        if ours != theirs:
            return tuple((ours or theirs).values())
    return None
