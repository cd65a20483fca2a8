"""Stage `boxes`: a rotated box for every mask, filtered. No label is read here."""

from collections import Counter
from itertools import groupby

from mutdet.proposals.box_filters import FILTERS
from mutdet.proposals.mask import Mask
from mutdet.proposals.tile_boxes import boxes_of_tile
from mutdet.settings.base import Runtime
from mutdet.settings.boxes import BoxesFiles, BoxesSettings
from mutdet.settings.console import progress
from mutdet.tables.boxes import SCHEMA
from mutdet.tables.read import iterate_rows
from mutdet.tables.write import TableWriter, write_provenance

_COLUMNS = ["tile_id", "mask_id", "size", "counts", "predicted_iou", "stability_score", "point"]


def run(files: BoxesFiles, settings: BoxesSettings, runtime: Runtime) -> None:
    """Box and filter the masks tile by tile; the provenance file tells how many boxes each filter dropped."""
    masks = 0
    dropped = Counter(dict.fromkeys(FILTERS, 0))
    with TableWriter(files.output, SCHEMA) as writer:
        for tile_id, rows in progress(groupby(iterate_rows(files.masks, _COLUMNS, rows=1024), key=lambda row: row["tile_id"]), "boxes"):
            found = {row["mask_id"]: Mask.of_row(row) for row in rows}
            boxes, lost = boxes_of_tile(tile_id, found, settings)
            writer.write(boxes)
            masks += len(found)
            dropped.update(lost)
        boxes_written = writer.rows
    counts = {"masks": masks, "boxes": boxes_written, "dropped": dict(dropped)}
    write_provenance(files.output, settings=settings.model_dump(mode="json"), **counts)
