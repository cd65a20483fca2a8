"""What keeps detections from being right: class-agnostic recall of an experiment if its boxes had the object's own centre, sides or angle.

Every box is tried on every object of its image, so a corrected part is the best that could be hoped for, not what a better detector would reach.

python benchmarks/detection_errors.py --run results/tables_hrsc --dataset hrsc --experiment detreg-10-s0 --experiment mutdet-10-s0
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from mutdet.geometry.iou import rotated_iou
from mutdet.geometry.rotated_boxes import as_boxes, from_polygons, to_le90
from mutdet.tables.read import iterate_rows

CORRECTIONS: dict[str, list[int]] = {
    "nothing": [],
    "angle": [4],
    "centre": [0, 1],
    "sides": [2, 3],
    "sides and angle": [2, 3, 4],
    "centre and angle": [0, 1, 4],
}
"""Name -> columns of (cx, cy, w, h, angle) that are taken from the object."""
BOX = ["cx", "cy", "w", "h", "angle"]


def objects_of_split(partition: Path, split: str) -> dict[str, np.ndarray]:
    """[M, 5] boxes of the labels of every image of a split, source pixels."""
    ids = {row["image_id"] for row in iterate_rows(partition / "images.parquet", ["image_id", "split"]) if split in row["split"]}
    found = defaultdict(list)
    for row in iterate_rows(partition / "labels.parquet", ["image_id", "polygon"]):
        if row["image_id"] in ids:
            found[row["image_id"]].append(row["polygon"])
    return {image_id: from_polygons(np.array(polygons)) for image_id, polygons in found.items()}


def best_detections(path: Path, count: int) -> dict[str, np.ndarray]:
    """[D, 5] boxes of highest score of every image, at most `count`."""
    found = defaultdict(list)
    for row in iterate_rows(path, ["image_id", "score", *BOX]):
        found[row["image_id"]].append([row["score"], *(row[name] for name in BOX)])
    return {image_id: np.array(sorted(rows, reverse=True)[:count])[:, 1:] for image_id, rows in found.items()}


def is_found(detections: np.ndarray, item: np.ndarray, columns: list[int], iou: float) -> bool:
    """Whether some detection [D, 5] overlaps the object [5] enough once it has these columns of the object."""
    corrected = detections.copy()
    corrected[:, columns] = item[columns]
    return bool(rotated_iou(to_le90(corrected), as_boxes(item)).max(initial=0.0) >= iou)


def main() -> None:
    """A line for every experiment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run, such as results/tables_hrsc")
    parser.add_argument("--dataset", required=True, help="data set with labels")
    parser.add_argument("--split", default="val", help="split that was detected on")
    parser.add_argument("--experiment", action="append", required=True, help="variant of section finetune; may be given several times")
    parser.add_argument("--iou", type=float, default=0.5, help="rotated IoU from which an object is found")
    arguments = parser.parse_args()
    objects = objects_of_split(arguments.run / "partition" / arguments.dataset, arguments.split)
    boxes = np.concatenate(list(objects.values()))
    sides = f"median sides {np.median(boxes[:, 2]):.0f} x {np.median(boxes[:, 3]):.0f} px, median aspect {np.median(boxes[:, 2] / boxes[:, 3]):.1f}"
    print(f"{len(boxes)} objects, {sides}; recall of the best 100 boxes of an image at IoU {arguments.iou} with the object's own ...")
    print(f"{'':24s}" + "".join(f"{name:>18s}" for name in CORRECTIONS))
    for experiment in arguments.experiment:
        detections = best_detections(arguments.run / "detect" / experiment / "detections.parquet", 100)
        shares = []
        for columns in CORRECTIONS.values():
            pairs = ((detections.get(image_id, np.zeros((0, 5))), item) for image_id, items in objects.items() for item in items)
            shares.append(sum(is_found(found, item, columns, arguments.iou) for found, item in pairs) / len(boxes))
        print(f"{experiment:24s}" + "".join(f"{share:18.3f}" for share in shares))


if __name__ == "__main__":
    main()
