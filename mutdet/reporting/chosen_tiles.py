"""The choice of the tiles that pictures show."""

from collections.abc import Iterable, Mapping

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
