"""Stage `masks_and_boxes`: stages masks and boxes in one process, row for row, without coding a mask. No label is read here."""

from collections import Counter

from mutdet.embedding.devices import prepare_device
from mutdet.embedding.tile_images import decode_image
from mutdet.proposals.box_filters import FILTERS
from mutdet.proposals.mask import MaskGenerator
from mutdet.proposals.tile_boxes import boxes_of_tile
from mutdet.proposals.tile_stream import masks_of_tiles
from mutdet.settings.base import Runtime
from mutdet.settings.console import progress
from mutdet.settings.masks_and_boxes import MasksAndBoxesFiles, MasksAndBoxesSettings
from mutdet.settings.registries import MASK_GENERATORS, load
from mutdet.tables.boxes import SCHEMA
from mutdet.tables.read import iterate_rows, open_table
from mutdet.tables.write import TableWriter, write_provenance

_COLUMNS = ["tile_id", "image"]


def run(files: MasksAndBoxesFiles, settings: MasksAndBoxesSettings, runtime: Runtime) -> None:
    """Find the masks of every tile, one decode each, and box and filter them; provenance as of stage boxes."""
    device = prepare_device(runtime if settings.uses_gpu else Runtime(device="cpu"))
    generator: MaskGenerator = load(MASK_GENERATORS, settings.masks.generator)(settings.masks, device)
    total = open_table(files.tiles, _COLUMNS).metadata.num_rows
    found, dropped = 0, Counter(dict.fromkeys(FILTERS, 0))
    with TableWriter(files.output, SCHEMA) as writer:
        for tile_id, masks in progress(masks_of_tiles(generator, iterate_rows(files.tiles, _COLUMNS), decode_image), "masks and boxes", total):
            boxes, lost = boxes_of_tile(tile_id, dict(enumerate(masks)), settings)
            writer.write(boxes)
            found += len(masks)
            dropped.update(lost)
        counts = {"masks": found, "boxes": writer.rows, "dropped": dict(dropped)}
    write_provenance(files.output, settings=settings.model_dump(mode="json"), **counts)
