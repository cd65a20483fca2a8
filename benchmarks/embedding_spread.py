"""What pseudo labels know of labels: over how many directions their embeddings spread, and whether neighbours and pseudo-classes tell classes apart.

python benchmarks/embedding_spread.py --run results/tables_hituav_close --dataset hituav --ignore dont-care --codebook k64 --codebook k64-whitened

Labels are those of split train, which no stage before fine-tuning reads. A box is of the class of the label that it covers with an IoU of 0.4, of `background`
where none reaches 0.1, and left out in between. Directions: participation ratio of the variances of the unit vectors.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score

from mutdet.embedding.neighbours import neighbour_accuracy
from mutdet.geometry.iou import polygon_iou
from mutdet.tables.read import iterate_rows, read_table
from mutdet.tables.vectors import column_to_vectors

COVERS, MISSES = 0.4, 0.1
NEIGHBOURS = 10
PER_CLASS = 600


def labels_of_tiles(paths: list[Path], ignored: set[str]) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Classes and polygons [4, 2] of each tile's labels."""
    return {
        row["tile_id"]: [(label["category"], np.reshape(label["polygon"], (4, 2))) for label in row["labels"] if label["category"] not in ignored]
        for row in iterate_rows(paths, ["tile_id", "labels"])
    }


def category_of(polygon: np.ndarray, labels: list[tuple[str, np.ndarray]]) -> str:
    """Class of a box, `background`, or nothing where it is neither."""
    if not labels:
        return "background"
    overlaps = polygon_iou(polygon[None], np.stack([label for _, label in labels]))[0]
    best = int(overlaps.argmax())
    return labels[best][0] if overlaps[best] >= COVERS else "background" if overlaps[best] < MISSES else ""


def participation_ratio(vectors: np.ndarray) -> float:
    """Directions of equal variance that would be as spread out."""
    variances = np.linalg.eigvalsh(np.cov(vectors.T))
    return float(variances.sum() ** 2 / (variances**2).sum())


def main() -> None:
    """A line for every codebook."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of the run, such as results/tables_hituav_close")
    parser.add_argument("--dataset", required=True, help="data set with labels")
    parser.add_argument("--codebook", action="append", required=True, help="variant; repeat it")
    parser.add_argument("--ignore", action="append", default=[], help="category that does not count; repeat it")
    given = parser.parse_args()
    labels = labels_of_tiles(sorted((given.run / "partition" / given.dataset / "train").glob("*.parquet")), set(given.ignore))
    for variant in given.codebook:
        table = read_table(sorted((given.run / "pseudo_labels" / variant / given.dataset).glob("*.parquet")), ["tile_id", "polygon", "category", "embedding"])
        tiles = table["tile_id"].to_pylist()
        polygons = np.reshape(table["polygon"].to_pylist(), (-1, 4, 2))
        categories = np.array([category_of(polygon, labels.get(tile, [])) for tile, polygon in zip(tiles, polygons, strict=True)])
        vectors, pseudo = column_to_vectors(table["embedding"]).astype(np.float64), np.array(table["category"].to_pylist())
        known = np.flatnonzero(categories != "")
        random = np.random.default_rng(0)
        drawn = [random.permutation(np.flatnonzero(categories == name))[:PER_CLASS] for name in np.unique(categories[known])]
        chosen = np.concatenate(drawn)
        images = np.array([tile.split("__")[0] for tile in tiles])
        accuracy = neighbour_accuracy(vectors[chosen], categories[chosen], images[chosen], NEIGHBOURS)
        shared = adjusted_mutual_info_score(categories[known], pseudo[known])
        print(
            f"{variant}: {len(vectors)} boxes, {participation_ratio(vectors):.1f} directions; of {', '.join(map(str, np.unique(categories[known])))}: "
            f"balanced accuracy of {NEIGHBOURS} neighbours {accuracy:.3f}, adjusted mutual information with pseudo-classes {shared:.3f}"
        )


if __name__ == "__main__":
    main()
