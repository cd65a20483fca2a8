"""Stage `masks`: class-agnostic masks of tiles. No label is read here."""

from mutdet.embedding.devices import prepare_device
from mutdet.embedding.tile_images import decode_image
from mutdet.proposals.mask import MaskGenerator
from mutdet.proposals.tile_stream import masks_of_tiles
from mutdet.settings.base import Runtime
from mutdet.settings.console import progress
from mutdet.settings.masks import MasksFiles, MasksSettings
from mutdet.settings.registries import MASK_GENERATORS, load
from mutdet.tables.masks import SCHEMA
from mutdet.tables.read import iterate_rows, open_table
from mutdet.tables.write import TableWriter, write_provenance

_COLUMNS = ["tile_id", "image"]


def run(files: MasksFiles, settings: MasksSettings, runtime: Runtime) -> None:
    """Find the masks of every tile, one decode each; rows in the order of the tiles, then by falling predicted IoU."""
    device = prepare_device(runtime if settings.uses_gpu else Runtime(device="cpu"))
    generator: MaskGenerator = load(MASK_GENERATORS, settings.generator)(settings, device)
    total = open_table(files.tiles, _COLUMNS).metadata.num_rows
    empty = 0
    with TableWriter(files.output, SCHEMA) as writer:
        for tile_id, masks in progress(masks_of_tiles(generator, iterate_rows(files.tiles, _COLUMNS), decode_image), "masks", total):
            writer.write([{"tile_id": tile_id, "mask_id": number, **mask.row()} for number, mask in enumerate(masks)])
            empty += not masks
        counts = {"tiles": total, "tiles_without_mask": empty, "masks": writer.rows}
    write_provenance(files.output, settings=settings.model_dump(mode="json"), **counts)
