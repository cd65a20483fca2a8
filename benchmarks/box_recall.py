"""How right the pseudo boxes of a finished run are, against the labels of its `train` tiles, which no stage before `finetune` reads.

python benchmarks/box_recall.py --run results/demo --dataset scenes --boxes sam
"""

import argparse
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from mutdet.geometry.iou import polygon_iou
from mutdet.tables.read import iterate_rows


def boxes_by_tile(folder: Path) -> dict[str, np.ndarray]:
    """[M, 4, 2] corners of the boxes of every tile that has some, tile pixels."""
    found = defaultdict(list)
    for path in sorted(folder.glob("*.parquet")):
        for row in iterate_rows(path, ["tile_id", "polygon"]):
            found[row["tile_id"]].append(row["polygon"])
    return {tile_id: np.reshape(polygons, (-1, 4, 2)) for tile_id, polygons in found.items()}


def main() -> None:
    """Share of boxes that are right, and of objects that have a right box, by category."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run, such as results/demo")
    parser.add_argument("--dataset", required=True, help="data set with labels")
    parser.add_argument("--boxes", default="sam", help="variant of section boxes")
    parser.add_argument("--iou", type=float, default=0.5, help="rotated IoU from which a box is right")
    arguments = parser.parse_args()
    boxes = boxes_by_tile(arguments.run / "boxes" / arguments.boxes / arguments.dataset)
    right = tiles = shown = 0
    objects: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    for path in sorted((arguments.run / "partition" / arguments.dataset / "train").glob("*.parquet")):
        for row in iterate_rows(path, ["tile_id", "labels"]):
            found = boxes.get(row["tile_id"], np.zeros((0, 4, 2)))
            overlap = polygon_iou(found, np.reshape([label["polygon"] for label in row["labels"]], (-1, 4, 2)))
            tiles, shown, right = tiles + 1, shown + len(found), right + int((overlap.max(axis=1, initial=0.0) >= arguments.iou).sum())
            for label, best in zip(row["labels"], overlap.max(axis=0, initial=0.0), strict=True):
                objects[label["category"]] += 1
                covered[label["category"]] += best >= arguments.iou
    if not tiles:
        parser.error(f"{arguments.run}: data set {arguments.dataset} has no train tiles")
    print(f"{tiles} tiles, {shown} boxes, {right} of them with IoU {arguments.iou} or more with a labelled object: {right / max(shown, 1):.3f}")
    for name in sorted(objects):
        print(f"{name:20s} {covered[name] / objects[name]:.3f} of {objects[name]} have such a box")
    print(f"{'all':20s} {covered.total() / max(objects.total(), 1):.3f} of {objects.total()}")


if __name__ == "__main__":
    main()
