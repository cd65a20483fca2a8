"""Blocks of industry: tank farms, warehouses, container yards."""

import numpy as np

from mutdet.data.scenes.blocks.paving import slabs
from mutdet.data.scenes.frame import Frame
from mutdet.data.scenes.objects.buildings import flat_roof
from mutdet.data.scenes.objects.facilities import storage_tank
from mutdet.data.scenes.objects.vehicles import car, container, lorry
from mutdet.data.scenes.site import Site

_LARGEST_TANK = 75.0  # pixels
_PIPE = np.full(3, 150.0)
_BAY_LINE = np.array([210.0, 208.0, 196.0])


def tank_farm(site: Site, frame: Frame) -> None:
    """Storage tanks of a few sizes in a grid, in bunds, with pipes."""
    site.canvas.cover(frame.corners(), site.palette.gravel if site.chance(0.6) else site.palette.concrete)
    largest = min(26.0, 0.7 * min(frame.length, frame.width), _LARGEST_TANK * site.canvas.gsd)
    diameter = float(site.rng.uniform(min(6.0, 0.6 * largest), largest))
    pitch = diameter * float(site.rng.uniform(1.25, 1.6))
    columns, rows = int(frame.length / pitch), int(frame.width / pitch)
    for column in range(columns):
        x = (column - (columns - 1) / 2) * pitch
        ends = frame.points(np.array([[x + pitch / 2, -frame.width / 2], [x + pitch / 2, frame.width / 2]]))
        site.canvas.line(ends[0], ends[1], 0.5, _PIPE, 0.8)
        for row in range(rows):
            y = (row - (rows - 1) / 2) * pitch
            _bund(site, frame.part(x - pitch / 2, y - pitch / 2, x + pitch / 2, y + pitch / 2))
            if site.occupied(0.85):
                own = diameter if site.chance(0.75) else diameter * site.rng.uniform(0.5, 0.9)
                site.put(storage_tank(site.rng, own, site.sun, frame.angle), frame, x, y)


def _bund(site: Site, frame: Frame) -> None:
    corners = frame.inset(0.3).corners()
    for start, stop in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        site.canvas.line(start, stop, 0.5, site.palette.concrete.colour * 1.05, 0.7)


def warehouses(site: Site, frame: Frame) -> None:
    """A long hall with lorries at its docks, a yard and parked cars."""
    frame = frame.lengthwise()
    site.canvas.cover(frame.corners(), site.palette.concrete if site.chance(0.6) else site.palette.asphalt)
    slabs(site, frame, 7.5)
    depth = frame.width * float(site.rng.uniform(0.38, 0.55))
    hall = 0.92 * frame.length
    dock = -frame.width / 2 + depth + 1.0
    site.put(flat_roof(site.rng, hall, depth, float(site.rng.uniform(7, 12)), site.roof_colour()), frame, 0, dock - depth / 2)
    for x in np.arange(-hall / 2 + 3, hall / 2 - 2, 4.4):
        if site.occupied(0.5):
            truck = lorry(site.rng)
            site.put(truck, frame, x, dock + 0.8 + float(np.ptp(truck.silhouette[0][:, 0])) / 2, np.pi / 2 + site.rng.normal(0, 0.015))
    if frame.width - depth > 32:
        for x in np.arange(-frame.length / 2 + 4, frame.length / 2 - 4, 3.0):
            if site.occupied(0.4):
                site.put(car(site.rng), frame, x, frame.width / 2 - 4.0, np.pi / 2 + site.rng.normal(0, 0.03))


def container_yard(site: Site, frame: Frame) -> None:
    """Freight containers in rows, lorries in the lanes between."""
    frame = frame.lengthwise()
    site.canvas.cover(frame.corners(), site.palette.concrete)
    slabs(site, frame, 10.0)
    gap = float(site.rng.uniform(0.9, 1.6))
    for band, y0 in enumerate(np.arange(-frame.width / 2 + 2.5, frame.width / 2 - 3, 2.6 + gap)):
        if band % 5 >= 3:
            if band % 5 == 3:
                _lane_of_lorries(site, frame, y0 + 1.3 + gap / 2)
            continue
        x = -frame.length / 2 + float(site.rng.uniform(7, 9))
        while x < frame.length / 2 - 7:
            if site.occupied(0.55):
                site.put(container(site.rng), frame, x, y0, site.rng.normal(0, 0.004))
            x += 12.19 + gap


def _lane_of_lorries(site: Site, frame: Frame, y: float) -> None:
    for x in np.arange(-frame.length / 2 + 10, frame.length / 2 - 10, 19.0):
        if site.occupied(0.35):
            site.put(lorry(site.rng), frame, x + site.rng.uniform(-2, 2), y, np.pi * site.rng.integers(2) + site.rng.normal(0, 0.02))


def yard(site: Site, frame: Frame) -> None:
    """Open yard where lorries stand side by side."""
    frame = frame.lengthwise()
    site.canvas.cover(frame.corners(), site.palette.gravel if site.chance(0.5) else site.palette.asphalt)
    for y in np.arange(-frame.width / 2 + 10, frame.width / 2 - 9, 21.0):
        filled = float(site.rng.uniform(0.3, 0.95))
        for x in np.arange(-frame.length / 2 + 3, frame.length / 2 - 3, 4.2):
            ends = frame.points(np.array([[x - 2.1, y - 8.5], [x - 2.1, y + 8.5]]))
            site.canvas.line(ends[0], ends[1], 0.14, _BAY_LINE, 0.5)
            if site.occupied(filled):
                site.put(lorry(site.rng), frame, x, y + site.rng.normal(0, 0.6), np.pi / 2 + np.pi * site.chance(0.2) + site.rng.normal(0, 0.02))
