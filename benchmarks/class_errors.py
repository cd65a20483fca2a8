"""How often a found object gets its own class: of the boxes that overlap it enough among the best 100 of its image, the one of highest score decides.

python benchmarks/class_errors.py --run results/tables_hituav_close --dataset hituav --ignore dont-care --experiment detreg-10-s0 --experiment mutdet-10-s0
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from mutdet.evaluation.from_tables import load_tables
from mutdet.evaluation.objects import NO_CLASS, EvaluationSet
from mutdet.evaluation.recall import best_per_image
from mutdet.geometry.iou import polygon_iou

BEST = 100


def found_and_right(data: EvaluationSet, iou: float) -> tuple[Counter[int], Counter[int]]:
    """Objects that are found, and those of them that get their own class, by number of the class; difficult ones do not count."""
    best = best_per_image(data.detections, BEST)
    objects = data.ground_truth.take((data.ground_truth.category != NO_CLASS) & ~data.ground_truth.difficult)
    found, right = Counter[int](), Counter[int]()
    for image in np.unique(objects.image):
        boxes, labelled = best.take(best.image == image), objects.take(objects.image == image)
        over = polygon_iou(boxes.polygons, labelled.polygons) >= iou
        for number in np.flatnonzero(over.any(axis=0)):
            category = int(labelled.category[number])
            found[category] += 1
            right[category] += int(boxes.category[over[:, number].argmax()]) == category
    return found, right


def main() -> None:
    """A line for every experiment."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run, such as results/tables_hituav_close")
    parser.add_argument("--dataset", required=True, help="data set with labels")
    parser.add_argument("--split", default="val", help="split that was detected on")
    parser.add_argument("--ignore", action="append", default=[], help="category whose objects do not count; may be given several times")
    parser.add_argument("--experiment", action="append", required=True, help="variant of section finetune; may be given several times")
    parser.add_argument("--iou", type=float, default=0.5, help="rotated IoU from which an object is found")
    given = parser.parse_args()
    index = given.run / "partition" / given.dataset
    for experiment in given.experiment:
        detections = given.run / "detect" / experiment / "detections.parquet"
        data = load_tables(detections, index / "labels.parquet", index / "images.parquet", given.split, given.ignore)
        found, right = found_and_right(data, given.iou)
        shares = ", ".join(f"{name} {right[number] / max(found[number], 1):.3f} of {found[number]}" for number, name in enumerate(data.categories))
        print(f"{experiment:26s} {right.total() / max(found.total(), 1):.3f} of {found.total()} found: {shares}")


if __name__ == "__main__":
    main()
