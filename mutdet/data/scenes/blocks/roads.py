"""Roads with markings and traffic, and car parks."""

import numpy as np

from mutdet.data.scenes.frame import Frame, rectangle
from mutdet.data.scenes.objects.vehicles import car, lorry
from mutdet.data.scenes.palette import Material, jitter
from mutdet.data.scenes.site import WHITE, YELLOW, Site

LANE = 3.4
_BAY_WIDTH, _BAY_DEPTH, _AISLE = 2.75, 5.4, 6.0


def road(site: Site, frame: Frame, lanes: int = 2, *, pavement: float = 2.0, traffic: float = 0.3, kerb: float = 0.0) -> None:
    """Road along the frame's x axis, down its middle.

    Args:
        lanes: in both directions together.
        pavement: width of the footway on either side, metres; 0 for a country road.
        traffic: probability that a stretch of 16 m of a lane holds a vehicle.
        kerb: probability that a place along the kerb holds a parked car.
    """
    half, end = lanes * LANE / 2 + (2.2 if kerb else 0.4), frame.length / 2
    if pavement:
        site.canvas.cover(frame.points(rectangle(-end, -half - pavement, end, half + pavement)), site.palette.concrete)
    site.canvas.cover(frame.points(rectangle(-end, -half, end, half)), site.palette.asphalt)
    _lane_markings(site, frame, lanes, half)
    for lane in range(lanes):
        y = (lane + 0.5 - lanes / 2) * LANE
        heading = 0.0 if y > 0 else np.pi
        for x in np.arange(-end + 8, end - 8, 16.0):
            if site.occupied(traffic):
                vehicle = lorry(site.rng) if site.chance(0.22) else car(site.rng)
                site.put(vehicle, frame, x + site.rng.uniform(-3, 3), y + site.rng.normal(0, 0.15), heading + site.rng.normal(0, 0.02))
    for side in (-1, 1):
        for x in np.arange(-end + 6, end - 6, 6.2):
            if kerb and site.occupied(kerb):
                site.put(car(site.rng), frame, x + site.rng.normal(0, 0.3), side * (half - 1.2), np.pi * site.rng.integers(2) + site.rng.normal(0, 0.03))


def _lane_markings(site: Site, frame: Frame, lanes: int, half: float) -> None:
    end = frame.length / 2
    colour = WHITE if site.chance(0.8) else YELLOW
    for boundary in range(1, lanes):
        y = (boundary - lanes / 2) * LANE
        if 2 * boundary == lanes and lanes > 2:
            _stroke(site, frame, -end, end, y, colour, 0.22)
            continue
        for x in np.arange(-end, end, 9.0):
            _stroke(site, frame, x, x + 4.5, y, colour, 0.16)
    if site.chance(0.6):
        for side in (-1, 1):
            _stroke(site, frame, -end, end, side * (half - 0.25), WHITE, 0.14)


def _stroke(site: Site, frame: Frame, x0: float, x1: float, y: float, colour: np.ndarray, width: float) -> None:
    start, stop = frame.points(np.array([[x0, y], [x1, y]]))
    site.canvas.line(start, stop, width, colour, 0.75)


def car_park(site: Site, frame: Frame) -> None:
    """Rows of marked bays with aisles between them, some bays taken."""
    frame = frame.lengthwise()
    surface = site.palette.asphalt if site.chance(0.75) else site.palette.concrete
    surface = Material(jitter(site.rng, surface.colour, 8.0), surface.weights, surface.tint)
    site.canvas.cover(frame.corners(), surface)
    _stains(site, frame)
    filled = float(site.rng.beta(2.0, 1.5))
    usable = frame.inset(1.0)
    y, is_upper = -usable.width / 2, True
    while y + _BAY_DEPTH <= usable.width / 2:
        _bay_row(site, usable, y, filled, heading=(-1 if is_upper else 1) * np.pi / 2)
        y += _BAY_DEPTH + (_AISLE if is_upper else 0.0)
        is_upper = not is_upper


def _bay_row(site: Site, frame: Frame, top: float, filled: float, heading: float) -> None:
    count = int(frame.length / _BAY_WIDTH)
    start = -count * _BAY_WIDTH / 2
    hides_trees = site.chance(0.3)
    for bay in range(count + 1):
        x = start + bay * _BAY_WIDTH
        ends = frame.points(np.array([[x, top], [x, top + _BAY_DEPTH]]))
        site.canvas.line(ends[0], ends[1], 0.13, WHITE, 0.7)
        if bay == count:
            break
        if hides_trees and bay % 9 == 4:
            site.plant_at(frame, x + _BAY_WIDTH / 2, top + _BAY_DEPTH / 2, float(site.rng.uniform(1.2, 2.2)))
        elif site.occupied(filled):
            turn = heading + np.pi * site.chance(0.4) + site.rng.normal(0, 0.025)
            site.put(car(site.rng), frame, x + _BAY_WIDTH / 2 + site.rng.normal(0, 0.08), top + _BAY_DEPTH / 2 + site.rng.normal(0, 0.25), turn)


def _stains(site: Site, frame: Frame) -> None:
    for _ in range(int(site.rng.integers(2, 8))):
        x, y = site.rng.uniform(-0.45, 0.45, 2) * (frame.length, frame.width)
        size = site.rng.uniform(1.0, 6.0, 2)
        shade = site.palette.asphalt.colour * site.rng.choice((0.78, 1.15))
        site.canvas.paint(frame.points(rectangle(x, y, x + size[0], y + size[1])), shade, float(site.rng.uniform(0.15, 0.5)), float(site.rng.uniform(0.1, 0.6)))
