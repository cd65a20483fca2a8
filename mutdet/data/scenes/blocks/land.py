"""Open country: fields, woods, farmyards."""

from dataclasses import replace

import numpy as np

from mutdet.data.scenes.frame import Frame
from mutdet.data.scenes.objects.buildings import gabled_roof
from mutdet.data.scenes.objects.facilities import storage_tank
from mutdet.data.scenes.objects.vehicles import car, lorry
from mutdet.data.scenes.palette import jitter
from mutdet.data.scenes.site import Site


def field(site: Site, frame: Frame) -> None:
    """Crop or ploughed land with rows along one of its sides."""
    soil = site.palette.soils[site.rng.integers(len(site.palette.soils))]
    soil = replace(soil, colour=jitter(site.rng, soil.colour, 12.0))
    shape = frame.inset(float(site.rng.uniform(0.5, 2.0))).corners()
    site.canvas.cover(frame.corners(), site.palette.grass, 1.0)
    site.canvas.cover(shape, soil, 0.6)
    if site.chance(0.8):
        along = frame.angle + (np.pi / 2 if site.chance(0.5) else 0.0)
        site.canvas.furrows(shape, along, float(site.rng.choice((1.2, 2.4, 4.0, 9.0))), float(site.rng.uniform(0.03, 0.12)))
    if site.chance(0.4):
        for x in np.arange(-frame.length / 2, frame.length / 2, site.rng.uniform(3, 7)):
            site.plant_at(frame, x, frame.width / 2 - 0.5, float(site.rng.uniform(1.0, 2.6)))
    if site.chance(0.25):
        _machines(site, frame)


def _machines(site: Site, frame: Frame) -> None:
    for _ in range(int(site.rng.integers(1, 4))):
        x, y = site.rng.uniform(-0.4, 0.4, 2) * (frame.length, frame.width)
        site.put(lorry(site.rng) if site.chance(0.6) else car(site.rng), frame, x, y, site.rng.uniform(0, 2 * np.pi))


def wood(site: Site, frame: Frame) -> None:
    """Trees close together."""
    site.canvas.cover(frame.corners(), replace(site.palette.grass, colour=site.palette.grass.colour * 0.8), 1.5)
    site.plant(frame, int(min(260.0, frame.length * frame.width / 14)), 1.8, 4.8)


def farmyard(site: Site, frame: Frame) -> None:
    """Barns, silos and vehicles on gravel."""
    site.canvas.cover(frame.corners(), site.palette.grass)
    inner = frame.inset(4.0)
    site.canvas.cover(inner.corners(), site.palette.gravel, 0.8)
    for _ in range(int(site.rng.integers(2, 5))):
        x, y = site.rng.uniform(-0.35, 0.35, 2) * (inner.length, inner.width)
        turn = np.pi / 2 * site.rng.integers(2)
        roof = gabled_roof(site.rng, site.rng.uniform(14, 30), site.rng.uniform(9, 14), site.roof_colour(), site.sun, frame.angle + turn)
        site.put(roof, inner, x, y, turn)
    for _ in range(int(site.rng.integers(1, 6))):
        x, y = site.rng.uniform(-0.45, 0.45, 2) * (inner.length, inner.width)
        site.put(storage_tank(site.rng, float(site.rng.uniform(4, 9)), site.sun, frame.angle), inner, x, y)
    for _ in range(int(site.rng.integers(2, 9) * site.density)):
        x, y = site.rng.uniform(-0.45, 0.45, 2) * (inner.length, inner.width)
        site.put(lorry(site.rng) if site.chance(0.4) else car(site.rng), inner, x, y, site.rng.uniform(0, 2 * np.pi))
    site.plant(frame, 14)
