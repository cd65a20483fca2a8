"""Cutting a large GeoTIFF into tiles, against decoding each of its blocks once; files of several layouts, 8 and 16 bit, with and without margins.

Run: python benchmarks/partition.py --width 16384 --height 8192
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from measuring import machine, measure
from rasterio.windows import Window as PixelWindow

from mutdet.data.images import open_image
from mutdet.data.tiling import cut_windows
from mutdet.data.windows import all_windows
from mutdet.settings.base import Runtime
from mutdet.settings.datasets import DatasetSettings, PartitionTilesFiles
from mutdet.stages.partition import run_tiles
from mutdet.tables.read import open_table

TILED = {"tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate"}
LAYOUTS: dict[str, dict[str, Any]] = {
    "8 bit, tiles": {"dtype": "uint8", **TILED},
    "8 bit, tiles, alpha": {"dtype": "uint8", "alpha": "yes", **TILED},
    "8 bit, tiles, value for no data": {"dtype": "uint8", "nodata": 0, **TILED},
    "16 bit, tiles": {"dtype": "uint16", **TILED},
    "16 bit, tiles, planar": {"dtype": "uint16", **TILED, "interleave": "band"},
    "16 bit, strips of one row": {"dtype": "uint16", "compress": "deflate", "blockysize": 1},
    "16 bit, strips of 256 rows": {"dtype": "uint16", "compress": "deflate", "blockysize": 256},
}


def draw(path: Path, width: int, height: int, layout: dict[str, Any]) -> None:
    """Smooth noise in four bands; a third of it lies in margins without data where the layout has a way to say so."""
    coarse = np.random.default_rng(0).integers(8, 255, (height // 16, width // 16, 4), np.uint8)
    values = cv2.resize(coarse, (width, height)) & 0xF8
    margin = np.add.outer(np.arange(height), np.arange(width)) % (3 * width // 2) > width
    if "alpha" in layout:
        values[..., 3] = np.where(margin, 0, 255)
    elif "nodata" in layout:
        values[margin] = 0
    kind = np.dtype(layout["dtype"])
    profile = {"driver": "GTiff", "width": width, "height": height, "count": 4, "photometric": "RGB", "interleave": "pixel"}
    with rasterio.open(path, "w", **{**profile, **layout}) as target:
        for band in range(4):
            target.write(values[..., band].astype(kind) * kind.type(1 if kind == np.uint8 else 37), band + 1)


def decode(path: Path) -> None:
    """Every block once."""
    with rasterio.open(path) as source:
        rows, columns = source.block_shapes[0]
        rows, columns = max(rows, 64), columns if columns == source.width else columns * 8
        for top in range(0, source.height, rows):
            for left in range(0, source.width, columns):
                source.read([1, 2, 3], window=PixelWindow(left, top, min(columns, source.width - left), min(rows, source.height - top)))


def cut(path: Path) -> int:
    """All windows of 800 px, neither looked through for data nor encoded."""
    with open_image(path, (1, 2, 3)) as image:
        return sum(1 for _ in cut_windows(image, all_windows(image.width, image.height, 800, 600), 800, (0, 0, 0)))


def stage(path: Path) -> int:
    """The stage; returns the number of tiles."""
    output = path.parent.parent / "tiles.parquet"
    run_tiles(PartitionTilesFiles(name="image", split="unlabelled", shard=0, shards=1, output=output), DatasetSettings(images=path.parent), Runtime())
    return open_table(output).metadata.num_rows


def main() -> None:
    """Print a row for every layout."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=16384)
    parser.add_argument("--height", type=int, default=8192)
    parser.add_argument("--layouts", nargs="+", default=list(LAYOUTS))
    arguments = parser.parse_args()
    print(machine(), f"{arguments.width} x {arguments.height} px", sep="; ")
    for name in arguments.layouts:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "images" / "image.tif"
            path.parent.mkdir()
            draw(path, arguments.width, arguments.height, LAYOUTS[name])
            once, cutting, whole = measure(decode, path), measure(cut, path), measure(stage, path)
        extra = whole.megabytes - whole.start_megabytes
        seconds = f"decoded once {once.seconds:.1f} s, cut {cutting.seconds:.1f} s ({cutting.seconds / once.seconds:.1f} times)"
        print(f"{name}: {seconds}, stage {whole.seconds:.1f} s, {whole.value} tiles, {extra:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
