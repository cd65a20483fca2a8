"""Shares of the labelled images: nested, and with every class in each of them."""

import math
from collections import Counter
from collections.abc import Collection, Mapping

from mutdet.settings.seeds import seed_for


def choose_images(categories: Mapping[str, Collection[str]], fraction: float, seed: int) -> list[str]:
    """Ids of the images that make up a share of a split, sorted.

    The images are ranked once, whatever the share: first those that bring in a class that no earlier one has, rarest class first, then the rest;
    within each by hash of (seed, image id). A share is a prefix of that ranking, so 10 % is part of 25 %. It is longer than asked for where the
    classes need more images.

    Args:
        categories: image id -> names of the classes in that image; images without objects have none.
        fraction: share of the images, in (0, 1].
        seed: of the hash.
    """
    order = sorted(categories, key=lambda image: (seed_for(seed, image), image))
    covering = _covering_images(order, categories)
    chosen = set(covering)
    ranking = covering + [image for image in order if image not in chosen]
    count = max(len(covering), math.ceil(round(fraction * len(ranking), 6)))
    return sorted(ranking[:count])


def _covering_images(order: list[str], categories: Mapping[str, Collection[str]]) -> list[str]:
    counts = Counter(name for names in categories.values() for name in set(names))
    chosen: list[str] = []
    seen: set[str] = set()
    for category in sorted(counts, key=lambda name: (counts[name], name)):
        if category not in seen:
            image = next(image for image in order if category in categories[image])
            chosen.append(image)
            seen.update(categories[image])
    return chosen
