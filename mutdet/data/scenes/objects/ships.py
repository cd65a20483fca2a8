"""Boats and ships."""

import numpy as np

from mutdet.data.scenes.frame import rectangle
from mutdet.data.scenes.things import Part, Shape, darker

_HULLS = np.array([[232, 232, 228], [40, 52, 78], [140, 40, 38], [54, 58, 62], [60, 92, 84], [206, 196, 172], [110, 46, 44]], dtype=np.float64)
_DECKS = np.array([[206, 200, 188], [168, 134, 96], [140, 72, 58], [128, 132, 130], [86, 112, 98], [222, 220, 214]], dtype=np.float64)
_CARGO = np.array([[152, 62, 46], [62, 88, 128], [70, 108, 86], [206, 204, 198], [190, 140, 60], [120, 124, 130]], dtype=np.float64)
_ORANGE = np.array([214.0, 110.0, 44.0])
_GLASS = np.array([50.0, 62.0, 72.0])


def hull(length: float, width: float, bow: float, stern: float) -> np.ndarray:
    """Outline [15, 2]: a pointed bow over the fraction `bow` of the length, a transom `stern` times the width."""
    x, y = length / 2, width / 2
    along = np.linspace(0, 1, 6)
    starboard = np.stack([x - bow * length * (1 - along), y * (1 - along**2.2)], axis=1)
    side = np.array([[-x, y * stern], [-x + 0.12 * length, y * 0.96]])
    upper = np.concatenate([side, starboard])
    return np.concatenate([upper, upper[:-1][::-1] * (1, -1)])


def boat(rng: np.random.Generator) -> Shape:
    """Motor boat or sailing yacht of 6 to 16 m."""
    length = rng.uniform(6.0, 16.0)
    width = length * rng.uniform(0.27, 0.36)
    outline = hull(length, width, rng.uniform(0.35, 0.5), rng.uniform(0.7, 0.95))
    paint = _HULLS[0] if rng.random() < 0.7 else _HULLS[rng.integers(len(_HULLS))]
    deck = _DECKS[rng.integers(len(_DECKS))] if rng.random() < 0.6 else darker(paint, 0.92)
    parts = [Part(outline, np.clip(paint + rng.normal(0, 5), 0, 250)), Part(outline * (0.9, 0.78), np.clip(deck + rng.normal(0, 6, 3), 0, 250))]
    if rng.random() < 0.4:
        parts += _sailing_rig(length, width, rng)
    else:
        parts += _cabin(length, width, rng)
    return Shape((outline,), tuple(parts), length * 0.18, category="ship")


def _sailing_rig(length: float, width: float, rng: np.random.Generator) -> list[Part]:
    cover = np.array([[60, 80, 130], [230, 230, 226], [150, 50, 48]], dtype=np.float64)[rng.integers(3)]
    cockpit = rectangle(-0.42 * length, -0.2 * width, -0.18 * length, 0.2 * width)
    coach_roof = rectangle(-0.12 * length, -0.24 * width, 0.22 * length, 0.24 * width)
    boom = rectangle(-0.36 * length, -0.14, 0.1 * length, 0.14)
    return [Part(cockpit, np.array([122.0, 104.0, 84.0])), Part(coach_roof, np.array([214.0, 214.0, 208.0])), Part(boom, cover)]


def _cabin(length: float, width: float, rng: np.random.Generator) -> list[Part]:
    rear, front = rng.uniform(-0.3, -0.1) * length, rng.uniform(0.1, 0.25) * length
    cockpit = rectangle(-0.44 * length, -0.3 * width, rear, 0.3 * width)
    windows = rectangle(rear, -0.34 * width, front, 0.34 * width)
    roof = rectangle(rear + 0.02 * length, -0.3 * width, front - 0.08 * length, 0.3 * width)
    return [Part(cockpit, np.array([140.0, 126.0, 108.0]) * rng.uniform(0.8, 1.2)), Part(windows, _GLASS), Part(roof, np.full(3, rng.uniform(205, 240)))]


def freighter(rng: np.random.Generator, length: float) -> Shape:
    """Cargo ship, tanker or ferry of a given length in metres."""
    width = length * rng.uniform(0.15, 0.22)
    outline = hull(length, width, rng.uniform(0.14, 0.24), rng.uniform(0.75, 0.95))
    paint = np.clip(_HULLS[rng.integers(len(_HULLS))] + rng.normal(0, 6, 3), 10, 245)
    deck = np.clip(_DECKS[rng.integers(len(_DECKS))] * rng.uniform(0.8, 1.05), 0, 245)
    parts = [Part(outline, paint), Part(outline * (0.97, 0.88), deck)]
    load = (_containers, _hatches, _pipes, _ferry_decks)[rng.integers(4)]
    parts += load(length, width, rng) + _superstructure(length, width, rng)
    return Shape((outline,), tuple(parts), min(14.0, 0.12 * length), category="ship")


def _superstructure(length: float, width: float, rng: np.random.Generator) -> list[Part]:
    centre = rng.uniform(-0.4, -0.34) * length
    depth = max(3.0, 0.07 * length)
    white = np.full(3, rng.uniform(212, 240))
    block = rectangle(centre - depth / 2, -0.44 * width, centre + depth / 2, 0.44 * width)
    windows = rectangle(centre + 0.3 * depth, -0.46 * width, centre + 0.5 * depth, 0.46 * width)
    upper = rectangle(centre - 0.25 * depth, -0.3 * width, centre + 0.2 * depth, 0.3 * width)
    funnel = rectangle(centre - 0.45 * depth, -0.12 * width, centre - 0.2 * depth, 0.12 * width)
    return [Part(block, white), Part(windows, _GLASS), Part(upper, darker(white, 0.9)), Part(funnel, _CARGO[rng.integers(len(_CARGO))])]


def _containers(length: float, width: float, rng: np.random.Generator) -> list[Part]:
    parts = []
    rows = max(2, int(0.8 * width / 2.6))
    for x in np.arange(-0.3 * length, 0.32 * length, 13.0):
        for row in range(rows):
            if rng.random() < 0.85:
                y = (row - rows / 2) * 0.8 * width / rows
                colour = _CARGO[rng.integers(len(_CARGO))] * rng.uniform(0.85, 1.1)
                parts.append(Part(rectangle(x, y, min(x + 12.2, 0.36 * length), y + 0.8 * width / rows - 0.2), colour))
    return parts


def _hatches(length: float, width: float, rng: np.random.Generator) -> list[Part]:
    count = int(rng.integers(3, 6))
    step = 0.62 * length / count
    colour = _DECKS[rng.integers(len(_DECKS))] * rng.uniform(0.75, 1.0)
    starts = -0.29 * length + step * np.arange(count)
    covers = [Part(rectangle(x + 0.1 * step, -0.3 * width, x + 0.85 * step, 0.3 * width), colour) for x in starts]
    seams = [Part(rectangle(x + 0.46 * step, -0.3 * width, x + 0.5 * step, 0.3 * width), darker(colour, 0.7)) for x in starts]
    return covers + seams


def _pipes(length: float, width: float, rng: np.random.Generator) -> list[Part]:
    grey = np.full(3, rng.uniform(150, 205))
    lines = [Part(rectangle(-0.3 * length, y * width - 0.35, 0.38 * length, y * width + 0.35), grey) for y in (-0.08, 0.0, 0.08)]
    manifold = Part(rectangle(-0.02 * length, -0.4 * width, 0.015 * length, 0.4 * width), darker(grey, 0.85))
    return [*lines, manifold]


def _ferry_decks(length: float, width: float, rng: np.random.Generator) -> list[Part]:
    white = np.full(3, rng.uniform(215, 240))
    deck = rectangle(-0.32 * length, -0.4 * width, 0.28 * length, 0.4 * width)
    sun_deck = rectangle(-0.28 * length, -0.28 * width, 0.1 * length, 0.28 * width)
    places = [(x, side * 0.33 * width) for x in np.arange(-0.25 * length, 0.2 * length, 6.0) for side in (-1, 1)]
    rafts = [Part(rectangle(x, y, x + 2.0, y + 0.9), _ORANGE) for x, y in places]
    return [Part(deck, white), Part(sun_deck, _DECKS[rng.integers(len(_DECKS))]), *rafts]
