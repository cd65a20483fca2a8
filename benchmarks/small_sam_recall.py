"""Objects of held-out scenes that have a pseudo box, by category: the small SAM and selective search.

Scenes, counting rules and limits are those of `mutdet.settings.small_sam`; the generator is that of the default config, once with the measure's
filters of boxes, which keep nearly everything, and once with those of the config. A dense grid of prompts stands beside it.
"""

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import torch
import yaml
from measuring import machine

from mutdet.proposals.recall import TileRecall, measure, recall_by_category, scenes
from mutdet.settings.boxes import BoxesSettings
from mutdet.settings.masks import MaskGeneratorSettings
from mutdet.settings.proposals.sam_generator import SamSettings
from mutdet.settings.proposals.selective_search import SelectiveSearchSettings
from mutdet.settings.registries import MASK_GENERATORS, load
from mutdet.settings.small_sam import FILTERS, VALIDATION, RecallSettings

CONFIG = Path(__file__).parents[1] / "config" / "config.yaml"


def variants(masks: str, boxes: str, limit: int) -> Iterator[tuple[str, MaskGeneratorSettings, BoxesSettings]]:
    """Names and settings of what is compared."""
    config = yaml.safe_load(CONFIG.read_text())
    filters = BoxesSettings(masks=masks, **FILTERS, max_per_tile=limit)
    default = SamSettings(**config["masks"][masks])
    yield "default", default, filters
    yield "default, filters of the config", default, BoxesSettings(**config["boxes"][boxes])
    yield "grid of 16 x 16", default.model_copy(update={"points_per_side": 16, "peaks": 0}), filters
    unfiltered = filters.model_copy(update={"min_fill": 0.0, "nms_thresh": None})
    yield "selective search, fast", SelectiveSearchSettings(strategy="fast", max_proposals=None), unfiltered
    yield "selective search, quality", SelectiveSearchSettings(strategy="quality", max_proposals=None), unfiltered


def run(settings: MaskGeneratorSettings, boxes: BoxesSettings, rules: RecallSettings) -> tuple[list[TileRecall], float]:
    """Outcome of every scene, and seconds a tile for masks and boxes."""
    torch.set_num_threads(1)
    generator = load(MASK_GENERATORS, settings.generator)(settings, torch.device("cpu"))
    outcomes, seconds = [], 0.0
    for tile_id, scene in scenes(rules):
        start = time.perf_counter()
        outcomes.append(measure(generator, boxes, scene, tile_id, rules))
        seconds += time.perf_counter() - start
    return outcomes, seconds / rules.scenes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masks", default="sam_small", help="variant of section masks")
    parser.add_argument("--boxes", default="sam", help="variant of section boxes")
    parser.add_argument("--split", default="held-out", choices=["held-out", "validation"])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="compare these alone, such as 'selective search, fast'")
    parser.add_argument("--processes", type=int, default=1, help="compared variants at a time; more than one spoils the times")
    given = parser.parse_args()
    rules = RecallSettings() if given.split == "held-out" else VALIDATION
    print(f"{machine()}; one thread; {rules.scenes} scenes of {rules.size} px, split {rules.split}, families {', '.join(rules.families)}")
    print(f"objects with a short side of {rules.min_short_side:g} px, found at IoU {rules.iou:g} among at most {rules.max_boxes} boxes a tile")
    compared = [variant for variant in variants(given.masks, given.boxes, rules.max_boxes) if not given.only or variant[0] in given.only]
    with ProcessPoolExecutor(given.processes) as pool:
        results = pool.map(run, *zip(*[(settings, boxes, rules) for _, settings, boxes in compared], strict=True))
        for (name, _, _), (outcomes, seconds) in zip(compared, results, strict=True):
            table = recall_by_category(outcomes)
            parts = ", ".join(f"{category} {found / total:.3f} of {total}" for category, (found, total) in table.items())
            print(f"{name}: {parts}; {sum(o.boxes for o in outcomes) / len(outcomes):.0f} boxes and {seconds:.2f} s a tile", flush=True)
