"""Blocks of a town: houses, flats, sports grounds, parks."""

from dataclasses import replace

import numpy as np

from mutdet.data.scenes.frame import Frame, rectangle
from mutdet.data.scenes.objects.buildings import flat_roof, gabled_roof
from mutdet.data.scenes.objects.facilities import court_surface, helipad, tennis_court
from mutdet.data.scenes.objects.vehicles import car
from mutdet.data.scenes.site import Site
from mutdet.data.scenes.things import disc


def houses(site: Site, frame: Frame) -> None:
    """Rows of detached houses with gardens, drives and trees."""
    frame = frame.lengthwise()
    site.canvas.cover(frame.corners(), site.palette.grass)
    plot, rows = float(site.rng.uniform(17, 22)), max(1, int(frame.width / 23))
    for row in range(rows):
        y = (row + 0.5) * frame.width / rows - frame.width / 2
        for x in np.arange(-frame.length / 2 + plot / 2, frame.length / 2 - plot / 3, plot):
            _house(site, frame, x, y, -1 if row % 2 == 0 else 1, frame.width / rows)
    site.plant(frame, int(frame.length * frame.width / 110), 1.0, 3.4)


def _house(site: Site, frame: Frame, x: float, y: float, street: int, depth: float) -> None:
    if site.chance(0.08):
        return
    length, width = site.rng.uniform(9, 13.5), site.rng.uniform(7.5, 9.5)
    turn = 0.0 if site.chance(0.7) else np.pi / 2
    y += float(site.rng.normal(0, 1))
    edge = street * (depth / 2)
    if site.chance(0.7):
        drive_x = x + length / 2 + 0.4
        site.canvas.cover(frame.points(rectangle(drive_x - 1.6, min(y, y + edge), drive_x + 1.6, max(y, y + edge))), site.palette.concrete)
        if site.occupied(0.6):
            site.put(car(site.rng), frame, drive_x, y + 0.6 * edge, np.pi / 2 + site.rng.normal(0, 0.04))
    site.put(gabled_roof(site.rng, length, width, site.roof_colour(), site.sun, frame.angle + turn), frame, x - 1.8, y, turn)
    if site.chance(0.15):
        _pool(site, frame, x, y - street * (width / 2 + 4))


def _pool(site: Site, frame: Frame, x: float, y: float) -> None:
    half = site.rng.uniform(1.6, 3.6, 2)
    site.canvas.cover(frame.points(rectangle(x - half[0] - 1, y - half[1] - 1, x + half[0] + 1, y + half[1] + 1)), site.palette.concrete)
    site.canvas.paint(frame.points(rectangle(x - half[0], y - half[1], x + half[0], y + half[1])), np.array([92.0, 176.0, 190.0]))
    site.stock.reserve(frame.points(rectangle(x - half[0], y - half[1], x + half[0], y + half[1])))


def flats(site: Site, frame: Frame) -> None:
    """Large flat-roofed buildings in a paved or green yard."""
    frame = frame.lengthwise()
    site.canvas.cover(frame.corners(), site.palette.grass if site.chance(0.5) else site.palette.concrete)
    columns = max(1, int(frame.length / site.rng.uniform(26, 40)))
    step = frame.length / columns
    for column in range(columns):
        length, width = step * site.rng.uniform(0.5, 0.75), frame.width * site.rng.uniform(0.35, 0.65)
        height = float(site.rng.uniform(6, 18))
        x = (column + 0.5) * step - frame.length / 2
        site.put(flat_roof(site.rng, length, width, height, site.roof_colour()), frame, x, float(site.rng.uniform(-0.12, 0.12)) * frame.width)
    for x in np.arange(-frame.length / 2 + 4, frame.length / 2 - 4, 5.8):
        if site.occupied(0.35):
            site.put(car(site.rng), frame, x, frame.width / 2 - 2.0, site.rng.normal(0, 0.03))
    site.plant(frame, int(frame.length * frame.width / 160), 1.2, 3.5)


def courts(site: Site, frame: Frame) -> None:
    """Tennis courts side by side within their fences."""
    frame = frame.lengthwise()
    site.canvas.cover(frame.corners(), site.palette.grass)
    pitch, depth = float(site.rng.uniform(15.5, 18.5)), 36.0
    columns, rows = int(frame.length / pitch), int(frame.width / depth)
    if columns and not rows:
        frame, (columns, rows) = frame.turned(), (int(frame.width / pitch), int(frame.length / depth))
    surface = court_surface(site.rng)
    surround = court_surface(site.rng) if site.chance(0.75) else surface * 0.92
    for row in range(rows):
        y = (row - (rows - 1) / 2) * depth
        if columns:
            width = columns * pitch / 2
            fenced = frame.points(rectangle(-width, y - 0.48 * depth, width, y + 0.48 * depth))
            site.canvas.cover(fenced, replace(site.palette.asphalt, colour=surround))
        for column in range(columns):
            site.put(tennis_court(surface), frame, (column - (columns - 1) / 2) * pitch, y, np.pi / 2)
        if columns:
            site.stock.reserve(fenced)
    site.plant(frame, int(frame.length * frame.width / 180))


def park(site: Site, frame: Frame) -> None:
    """Lawn with paths, trees in clumps, now and then a pond or a helipad."""
    site.canvas.cover(frame.corners(), site.palette.grass)
    ends = site.rng.uniform(-0.5, 0.5, (3, 2, 2)) * (frame.length, frame.width)
    for path in ends:
        start, stop = frame.points(path)
        site.canvas.line(start, stop, 1.8, site.palette.gravel.colour, 0.9)
    if site.chance(0.3):
        _landing_place(site, frame)
    elif site.chance(0.4):
        radius = 0.25 * min(frame.length, frame.width)
        pond = frame.points(disc(0, 0, radius) * _winding(site, 28))
        site.canvas.cover(pond, site.palette.water, 1.0)
        site.stock.reserve(pond)
    site.plant(frame, int(frame.length * frame.width / 45), 1.5, 4.5)


def _winding(site: Site, corners: int) -> np.ndarray:
    """Radii [corners, 1] about 1 of a rounded, irregular outline."""
    turns = np.arange(corners) * (2 * np.pi / corners)
    waves = [site.rng.uniform(0.04, 0.18) * np.sin(k * turns + site.rng.uniform(0, 2 * np.pi)) for k in (1, 2, 3)]
    return 1 + np.sum(waves, axis=0)[:, None]


def _landing_place(site: Site, frame: Frame) -> None:
    """Helipad in the middle of a frame."""
    side = float(np.clip(0.5 * min(frame.length, frame.width), 10.0, site.rng.uniform(13, 21)))
    site.canvas.cover(frame.points(rectangle(-side, -side, side, side) * 0.62), site.palette.concrete)
    site.put(helipad(site.rng, side), frame, 0, 0, site.rng.uniform(0, np.pi))


def heliport(site: Site, frame: Frame) -> None:
    """Lawn with a helipad."""
    site.canvas.cover(frame.corners(), site.palette.grass)
    _landing_place(site, frame)
    site.plant(frame, 10)
