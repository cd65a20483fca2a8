"""Storage tanks, tennis courts and helipads."""

import numpy as np

from mutdet.data.scenes.frame import moved, rectangle
from mutdet.data.scenes.site import Sun
from mutdet.data.scenes.things import Part, Shape, darker, disc

_TANK_PAINTS = np.array([[226, 226, 222], [204, 204, 198], [190, 178, 156], [150, 152, 152], [150, 112, 92], [176, 196, 186]], dtype=np.float64)
_COURT_PAINTS = np.array([[58, 106, 80], [70, 110, 148], [164, 92, 64], [176, 112, 80], [86, 126, 84], [96, 112, 104]], dtype=np.float64)
_LINE = np.array([226.0, 226.0, 220.0])


def storage_tank(rng: np.random.Generator, diameter: float, sun: Sun, angle: float) -> Shape:
    """Cylindrical tank with a fixed or a floating roof, shaded by the sun.

    Args:
        angle: heading the tank will be placed with, so that its shading can be turned back (radians).
    """
    radius = diameter / 2
    paint = np.clip(_TANK_PAINTS[rng.integers(len(_TANK_PAINTS))] + rng.normal(0, 7) + rng.normal(0, 3, 3), 30, 248)
    heading = np.arctan2(sun.direction[1], sun.direction[0]) - angle
    away = np.array([np.cos(heading), np.sin(heading)])
    body = disc(0, 0, radius)
    parts = [Part(body, darker(paint, 0.8)), Part(disc(0, 0, 0.95 * radius), paint)]
    height = rng.uniform(0.35, 0.8) * min(diameter, 16.0)
    if rng.random() < 0.35:
        inner = darker(paint, 0.88)
        parts += [Part(disc(0, 0, 0.9 * radius), darker(paint, 0.5)), Part(moved(disc(0, 0, 0.82 * radius), *(0.08 * radius * away)), inner)]
    else:
        for step in range(1, 6):
            ring = moved(disc(0, 0, (0.92 - 0.14 * step) * radius), *(-0.03 * step * radius * away))
            parts.append(Part(ring, darker(paint, 0.93 + 0.025 * step)))
        parts += _seams(rng, radius, paint)
    turn = rng.uniform(0, 2 * np.pi)
    ladder = rectangle(0, -0.035 * radius, 0.96 * radius, 0.035 * radius) @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    parts.append(Part(ladder, darker(paint, 0.7)))
    return Shape((body,), tuple(parts), height, category="storage-tank")


def _seams(rng: np.random.Generator, radius: float, paint: np.ndarray) -> list[Part]:
    vents = disc(0, 0, 0.07 * radius, 10)
    marks = [Part(vents, darker(paint, 0.72))]
    for turn in rng.uniform(0, 2 * np.pi, int(rng.integers(0, 4))):
        marks.append(Part(disc(0.7 * radius * np.cos(turn), 0.7 * radius * np.sin(turn), 0.06 * radius, 8), darker(paint, 0.66)))
    return marks


def court_surface(rng: np.random.Generator) -> np.ndarray:
    """Colour of a court's playing field."""
    return np.clip(_COURT_PAINTS[rng.integers(len(_COURT_PAINTS))] + rng.normal(0, 6) + rng.normal(0, 4, 3), 0, 240)


def tennis_court(surface: np.ndarray) -> Shape:
    """Playing field of 23.77 by 10.97 m with its lines and net."""
    x, y, single, service, line = 23.77 / 2, 10.97 / 2, 8.23 / 2, 6.4, 0.14
    body = rectangle(-x, -y, x, y)
    strokes = [
        rectangle(-x, -single - line, x, -single), rectangle(-x, single, x, single + line),
        rectangle(-service - line, -single, -service, single), rectangle(service, -single, service + line, single),
        rectangle(-service, -line / 2, service, line / 2),
    ]  # fmt: skip
    net = Part(rectangle(-0.12, -y, 0.12, y), np.array([60.0, 62.0, 62.0]))
    inner = rectangle(-x + line, -y + line, x - line, y - line)
    return Shape((body,), (Part(body, _LINE), Part(inner, surface), *(Part(stroke, _LINE) for stroke in strokes), net), 0.0, category="tennis-court")


def helipad(rng: np.random.Generator, side: float) -> Shape:
    """Landing pad with its ring and its H; square or round, `side` metres across."""
    ground = np.clip(np.array([[112, 114, 116], [150, 150, 146], [92, 116, 98], [150, 74, 62]], dtype=np.float64)[rng.integers(4)] + rng.normal(0, 6), 0, 240)
    half = side / 2
    body = disc(0, 0, half) if rng.random() < 0.5 else rectangle(-half, -half, half, half)
    bars = [rectangle(-0.3 * half, s * 0.24 * half - 0.06 * half, 0.3 * half, s * 0.24 * half + 0.06 * half) for s in (-1, 1)]
    bars.append(rectangle(-0.05 * half, -0.24 * half, 0.05 * half, 0.24 * half))
    ring = [Part(disc(0, 0, 0.74 * half), _LINE), Part(disc(0, 0, 0.66 * half), ground)]
    edge = [Part(body, _LINE), Part(body * 0.93, ground)]
    return Shape((body,), (*edge, *ring, *(Part(bar, _LINE) for bar in bars)), 0.0, category="helipad")
