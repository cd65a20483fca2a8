"""What each stage makes of some tiles, side by side, as one picture: the page's own pictures, from a run that has ended.

python benchmarks/overview_picture.py --run results/demo --experiment none-0 --experiment mutdet-0 --output docs/overview.jpg

Detections stand on the same tiles, whose pixels pre-training has seen: the picture shows what stages do, not how good a detector is.
"""

import argparse
import base64
from collections.abc import Sequence
from pathlib import Path

import cv2
import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from mutdet.reporting.blocks import Block, Gallery, Picture
from mutdet.reporting.detection_pictures import detections_section
from mutdet.reporting.proposal_pictures import proposals_section
from mutdet.reporting.run_folder import RunFolder
from mutdet.settings.report import ReportSettings


def first_gallery(blocks: Sequence[Block]) -> Gallery:
    """The first gallery of a section."""
    found = [block for block in blocks if isinstance(block, Gallery)]
    if not found:
        raise SystemExit("the run holds no tiles, boxes or evaluated detections to show; let it end first")
    return found[0]


def pixels(picture: Picture) -> np.ndarray:
    """[H, W, 3] RGB."""
    encoded = np.frombuffer(base64.b64decode(picture.source.partition(",")[2]), np.uint8)
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of a run")
    parser.add_argument("--experiment", action="append", required=True, help="fine-tuning whose detections are shown; repeat it")
    parser.add_argument("--tiles", type=int, default=2, help="tiles, those with most labels")
    parser.add_argument("--side", type=int, default=260, help="side of a picture, pixels")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    run, settings = RunFolder(given.run), ReportSettings(picture_side=given.side)
    stages, detections = (first_gallery(section(run, settings).blocks) for section in (proposals_section, detections_section))
    shown = [number for number, column in enumerate(detections.columns) if column in ("labels", *given.experiment)]
    of_stages = dict(zip(stages.names, stages.rows, strict=True))
    found = dict(zip(detections.names, detections.rows, strict=True))
    labels = {tile["tile_id"]: len(tile["labels"]) for tiles in run.chosen_tiles().values() for tile in tiles}
    rows = [[*of_stages[tile_id], *(found[tile_id][number] for number in shown)] for tile_id in sorted(found, key=lambda one: -labels[one])[: given.tiles]]
    columns = [*stages.columns, *(detections.columns[number] for number in shown)]
    mpl.rcParams["font.size"] = 7
    figure = Figure(figsize=(given.side * len(columns) / 200, given.side * 1.12 * len(rows) / 200), dpi=200, layout="constrained")
    for line, row in zip(figure.subplots(len(rows), len(columns), squeeze=False), rows, strict=True):
        for axes, column, picture in zip(line, columns, row, strict=True):
            axes.imshow(pixels(picture))
            axes.set_title(f"{column}\n{picture.caption}")
            axes.set_axis_off()
    given.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(given.output, pil_kwargs={"quality": 80})


if __name__ == "__main__":
    main()
