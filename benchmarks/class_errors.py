"""How often a found object gets its own class: of the boxes that overlap it enough among the best 100 of its image, the one of highest score decides.

python benchmarks/class_errors.py --run results/tables_hituav_close --dataset hituav --ignore dont-care --experiment detreg-10-s0 --experiment mutdet-10-s0
"""

import argparse
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from mutdet.geometry.iou import rotated_iou
from mutdet.geometry.rotated_boxes import as_boxes, from_polygons
from mutdet.tables.read import iterate_rows

BOX = ["cx", "cy", "w", "h", "angle"]
BEST = 100


def objects_of_split(partition: Path, split: str, ignored: set[str]) -> list[tuple[str, str, np.ndarray]]:
    """Image, category and box [5] in source pixels of every label of a split."""
    ids = {row["image_id"] for row in iterate_rows(partition / "images.parquet", ["image_id", "split"]) if split in row["split"]}
    rows = iterate_rows(partition / "labels.parquet", ["image_id", "category", "polygon"])
    kept = [row for row in rows if row["image_id"] in ids and row["category"] not in ignored]
    boxes = from_polygons(np.array([row["polygon"] for row in kept]))
    return [(row["image_id"], row["category"], box) for row, box in zip(kept, boxes, strict=True)]


def best_detections(path: Path) -> dict[str, tuple[np.ndarray, list[str]]]:
    """Boxes [D, 5] and categories of the best detections of every image, highest score first."""
    found = defaultdict(list)
    for row in iterate_rows(path, ["image_id", "score", "category", *BOX]):
        found[row["image_id"]].append(row)
    best = {image_id: sorted(rows, key=lambda row: -row["score"])[:BEST] for image_id, rows in found.items()}
    return {image_id: (np.array([[row[name] for name in BOX] for row in rows]), [row["category"] for row in rows]) for image_id, rows in best.items()}


def main() -> None:
    """A line for every experiment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run, such as results/tables_hituav_close")
    parser.add_argument("--dataset", required=True, help="data set with labels")
    parser.add_argument("--split", default="val", help="split that was detected on")
    parser.add_argument("--ignore", action="append", default=[], help="category whose objects do not count; may be given several times")
    parser.add_argument("--experiment", action="append", required=True, help="variant of section finetune; may be given several times")
    parser.add_argument("--iou", type=float, default=0.5, help="rotated IoU from which an object is found")
    arguments = parser.parse_args()
    objects = objects_of_split(arguments.run / "partition" / arguments.dataset, arguments.split, set(arguments.ignore))
    print(f"{len(objects)} objects; share of the found ones that get their own class, all and by category")
    for experiment in arguments.experiment:
        detections = best_detections(arguments.run / "detect" / experiment / "detections.parquet")
        found, right = Counter[str](), Counter[str]()
        for image_id, category, box in objects:
            boxes, categories = detections.get(image_id, (np.zeros((0, 5)), []))
            over = np.flatnonzero(rotated_iou(boxes, as_boxes(box))[:, 0] >= arguments.iou)
            found[category] += len(over) > 0
            right[category] += len(over) > 0 and categories[over[0]] == category
        shares = ", ".join(f"{name} {right[name] / max(count, 1):.3f} of {count}" for name, count in sorted(found.items()))
        print(f"{experiment:24s}{right.total() / max(found.total(), 1):.3f} of {found.total()}: {shares}")


if __name__ == "__main__":
    main()
