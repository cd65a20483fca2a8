"""What keeps detections from being right: class-agnostic recall of an experiment if its boxes had the object's own centre, sides or angle.

A box is tried on an object only if its centre lies no farther from the object's than half its longer side; all such boxes are tried,
so a corrected part is the best that could be hoped for, not what a better detector would reach.

python benchmarks/detection_errors.py --run results/tables_hrsc --dataset hrsc --experiment detreg-10-s0 --experiment mutdet-10-s0
"""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from mutdet.geometry.iou import rotated_iou
from mutdet.geometry.rotated_boxes import as_boxes, from_polygons, to_le90
from mutdet.tables.read import iterate_rows

BOX = ["cx", "cy", "w", "h", "angle"]
CORRECTIONS = ("nothing", "angle", "centre along", "centre across", "centre", "sides")


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


def near(detections: np.ndarray, item: np.ndarray) -> np.ndarray:
    """Those of the detections [D, 5] whose centre lies no farther from the object's [5] than half its longer side."""
    return detections[np.hypot(*(detections[:, :2] - item[:2]).T) <= item[2] / 2]


def corrected(detections: np.ndarray, item: np.ndarray, part: str) -> np.ndarray:
    """[D, 5] the detections with a part that is the object's own; along and across are meant as the object lies."""
    changed = detections.copy()
    axis = np.array([np.cos(item[4]), np.sin(item[4])])
    along = (detections[:, :2] - item[:2]) @ axis[:, None] * axis
    if part in ("centre along", "centre"):
        changed[:, :2] -= along
    if part in ("centre across", "centre"):
        changed[:, :2] -= detections[:, :2] - item[:2] - along
    if part == "angle":
        changed[:, 4] = item[4]
    if part == "sides":
        changed[:, 2:4] = item[2:4]
    return to_le90(changed)


def is_found(detections: np.ndarray, item: np.ndarray, part: str, iou: float) -> bool:
    """Whether some near detection overlaps the object enough once a part of it is the object's own."""
    return bool(rotated_iou(corrected(near(detections, item), item, part), as_boxes(item)).max(initial=0.0) >= iou)


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
        for part in CORRECTIONS:
            pairs = ((detections.get(image_id, np.zeros((0, 5))), item) for image_id, items in objects.items() for item in items)
            shares.append(sum(is_found(found, item, part, arguments.iou) for found, item in pairs) / len(boxes))
        print(f"{experiment:24s}" + "".join(f"{share:18.3f}" for share in shares))


if __name__ == "__main__":
    main()
