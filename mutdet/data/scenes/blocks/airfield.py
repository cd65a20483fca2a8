"""Blocks of an airport: aprons and taxiways."""

import numpy as np

from mutdet.data.scenes.blocks.paving import slabs
from mutdet.data.scenes.frame import Frame, rectangle
from mutdet.data.scenes.objects.buildings import flat_roof
from mutdet.data.scenes.objects.planes import jet, light_aircraft
from mutdet.data.scenes.objects.vehicles import car, lorry
from mutdet.data.scenes.site import WHITE, YELLOW, Site

_LARGEST_SPAN = 105.0  # pixels
_SMALLEST_SPAN = 30.0  # pixels


def apron(site: Site, frame: Frame) -> None:
    """Stands in a row before a terminal or hangars; the frame's x axis runs along the building."""
    site.canvas.cover(frame.corners(), site.palette.concrete)
    slabs(site, frame, float(site.rng.uniform(6, 9)))
    terminal = float(site.rng.uniform(12, 20))
    top = -frame.width / 2 + terminal
    site.put(flat_roof(site.rng, frame.length * 0.96, terminal - 2, float(site.rng.uniform(8, 14)), site.roof_colour()), frame, 0, top - terminal / 2)
    is_field = site.chance(0.3)
    y = top + 4.0
    while True:
        span = _span(site, is_field)
        stand = 1.32 * span
        if y + stand > frame.width / 2:
            break
        _row_of_stands(site, frame, y, span, is_field)
        y += stand + float(site.rng.uniform(6, 14))
    _service_vehicles(site, frame, top)


def _span(site: Site, is_field: bool) -> float:
    low, high = _SMALLEST_SPAN * site.canvas.gsd, _LARGEST_SPAN * site.canvas.gsd
    bounds = (9.5, 13.0) if is_field else (15.0, 36.0)
    return float(site.rng.uniform(*np.clip(bounds, low, high)))


def _row_of_stands(site: Site, frame: Frame, top: float, span: float, is_field: bool) -> None:
    pitch = span * float(site.rng.uniform(1.15, 1.35))
    count = max(1, int(frame.length / pitch))
    heading = -np.pi / 2 + (np.pi / 5 if site.chance(0.2) else 0.0)
    for stand in range(count):
        x = (stand - (count - 1) / 2) * pitch
        ends = frame.points(np.array([[x, top], [x, top + 1.3 * span]]))
        site.canvas.line(ends[0], ends[1], 0.25, YELLOW, 0.8)
        if site.occupied(0.8):
            own = span * float(site.rng.uniform(0.8, 1.0))
            plane = light_aircraft(site.rng, own) if is_field else jet(site.rng, own)
            site.put(plane, frame, x, top + 0.64 * span, heading + site.rng.normal(0, 0.02) + np.pi * (site.chance(0.5) if is_field else 0))
    for y in (top - 0.6, top + 1.32 * span):
        ends = frame.points(np.array([[-frame.length / 2, y], [frame.length / 2, y]]))
        site.canvas.line(ends[0], ends[1], 0.25, WHITE if site.chance(0.4) else YELLOW, 0.7)


def _service_vehicles(site: Site, frame: Frame, top: float) -> None:
    for _ in range(int(site.rng.integers(6, 24) * site.density)):
        x, y = site.rng.uniform(-0.47, 0.47) * frame.length, site.rng.uniform(top + 1, frame.width / 2 - 2)
        vehicle = lorry(site.rng) if site.chance(0.35) else car(site.rng)
        site.put(vehicle, frame, x, y, np.pi / 2 * site.rng.integers(4) + site.rng.normal(0, 0.15))


def taxiway(site: Site, frame: Frame) -> None:
    """Paved strip with a yellow centre line and shoulders, at times with a plane on it."""
    site.canvas.cover(frame.corners(), site.palette.grass)
    width = min(20.0, 0.6 * frame.width)
    end = frame.length / 2
    site.canvas.cover(frame.points(rectangle(-end, -width / 2, end, width / 2)), site.palette.asphalt)
    for y, colour in ((0.0, YELLOW), (-0.46 * width, WHITE), (0.46 * width, WHITE)):
        ends = frame.points(np.array([[-end, y], [end, y]]))
        site.canvas.line(ends[0], ends[1], 0.3, colour, 0.8)
    if site.occupied(0.6):
        x = float(site.rng.uniform(-0.3, 0.3)) * frame.length
        site.put(jet(site.rng, _span(site, False)), frame, x, 0.0, np.pi * site.rng.integers(2) + site.rng.normal(0, 0.02))
