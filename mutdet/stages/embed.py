"""Stage `embed`: rotated crop, frozen backbone, one vector per object."""

import pyarrow as pa

from mutdet.embedding.backbones import load_backbone
from mutdet.embedding.crop_embedder import CropEmbedder
from mutdet.embedding.devices import prepare_device
from mutdet.settings.base import Runtime
from mutdet.settings.console import progress
from mutdet.settings.embed import EmbedFiles, EmbedSettings
from mutdet.tables import embeddings
from mutdet.tables.read import iterate_rows, open_table
from mutdet.tables.vectors import vectors_to_column
from mutdet.tables.write import TableWriter, write_provenance

_BOX_COLUMNS = ["tile_id", "mask_id", "cx", "cy", "w", "h", "angle"]
_ROWS_PER_GROUP = 256


def run(files: EmbedFiles, settings: EmbedSettings, runtime: Runtime) -> None:
    """Embed every box of a shard; tiles without boxes give no row."""
    backbone, width = load_backbone(files.backbone)
    embedder = CropEmbedder(backbone, settings, prepare_device(runtime))
    schema = embeddings.schema(width)
    count = open_table(files.tiles).metadata.num_rows
    tiles = progress(iterate_rows(files.tiles, ["tile_id", "image"]), "embed: tiles", count)
    boxes = iterate_rows(files.boxes, _BOX_COLUMNS, rows=4096)
    with TableWriter(files.output, schema, rows_per_group=_ROWS_PER_GROUP) as writer:
        for keys, vectors in embedder.embed(tiles, boxes):
            tile_ids, mask_ids = zip(*keys, strict=True)
            columns = [pa.array(tile_ids), pa.array(mask_ids, pa.int32()), vectors_to_column(vectors)]
            writer.write(pa.table(columns, schema=schema))
    write_provenance(files.output, settings=settings.model_dump(mode="json"), tiles=count, objects=writer.rows, width=width)
