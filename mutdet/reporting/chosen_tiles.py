"""The tiles that all pictures show."""

from collections import Counter
from collections.abc import Iterable, Mapping

from mutdet.reporting.run_folder import RunFolder
from mutdet.settings.seeds import seed_for


def choose(tile_ids: Iterable[str], objects: Mapping[str, int], count: int, seed: int) -> list[str]:
    """Up to `count` tiles, by hash; those with objects first, so that pictures show something. In order of their ids.

    Args:
        tile_ids: all tiles.
        objects: objects of each tile that has any.
        count: tiles wanted.
        seed: of the choice.
    """
    ranked = sorted(tile_ids, key=lambda tile_id: (not objects.get(tile_id), seed_for(seed, "report", tile_id)))
    return sorted(ranked[:count])


def unlabelled_tiles(run: RunFolder, dataset: str, count: int, seed: int) -> list[str]:
    """Tiles of a data set's split `unlabelled`, preferably with boxes or masks."""
    tile_ids = run.column(run.shards("partition", dataset, "unlabelled"), "tile_id")
    objects: Counter[str] = Counter()
    for stage in ("boxes", "masks"):
        for variant in run.folders(stage)[:1] if not objects else []:
            objects.update(run.column(run.shards(stage, variant, dataset), "tile_id"))
    return choose(tile_ids, objects, count, seed)
