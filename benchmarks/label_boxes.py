"""Boxes that are the labels of `train`, written as a variant of stage boxes: what pre-training would gain if every pseudo box were right.

A diagnosis, not a method: no stage before `finetune` may read labels, so figures from these boxes belong in no comparison. The variant's own filters let no box
pass, so that a workflow that makes it from masks, where this script was not run, has none and says so.

python benchmarks/label_boxes.py --run results/tables_hrsc --dataset hrsc --boxes labels
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mutdet.geometry.rotated_boxes import corners, from_polygons
from mutdet.tables.boxes import SCHEMA
from mutdet.tables.read import iterate_rows
from mutdet.tables.write import write_provenance, write_table


def rows_of_tile(tile_id: str, labels: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the table of boxes, one for each label, whole where the object leaves the tile."""
    boxes = from_polygons(np.reshape([label["polygon"] for label in labels], (-1, 8)))
    outlines = corners(boxes).reshape(-1, 8)
    return [
        {
            "tile_id": tile_id,
            "mask_id": number,
            **dict(zip(("cx", "cy", "w", "h", "angle"), box.tolist(), strict=True)),
            "polygon": outline.tolist(),
            "mask_area": round(box[2] * box[3]),
            "fill": 1.0,
            "score": 1.0,
        }
        for number, (box, outline) in enumerate(zip(boxes, outlines, strict=True))
    ]


def main() -> None:
    """A table for each shard of the unlabelled tiles; a tile's labels are those of the same tile of `train`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run, such as results/tables_hrsc")
    parser.add_argument("--dataset", required=True, help="data set with labels")
    parser.add_argument("--boxes", required=True, help="name of the variant to write")
    arguments = parser.parse_args()
    tiles = arguments.run / "partition" / arguments.dataset
    labels = {row["tile_id"]: row["labels"] for path in sorted((tiles / "train").glob("*.parquet")) for row in iterate_rows(path, ["tile_id", "labels"])}
    if not labels:
        parser.error(f"{tiles / 'train'} holds no tile: run the stage partition first")
    for path in sorted((tiles / "unlabelled").glob("*.parquet")):
        tile_ids = [row["tile_id"] for row in iterate_rows(path, ["tile_id"])]
        rows = [row for tile_id in tile_ids if labels.get(tile_id) for row in rows_of_tile(tile_id, labels[tile_id])]
        output = arguments.run / "boxes" / arguments.boxes / arguments.dataset / path.name
        output.parent.mkdir(parents=True, exist_ok=True)
        write_table(output, rows, SCHEMA)
        write_provenance(output, settings={"labels": True}, boxes=len(rows))
        print(f"{output}: {len(rows)} boxes in {len(tile_ids)} tiles")


if __name__ == "__main__":
    main()
