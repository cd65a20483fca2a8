"""Blocks on the water: quays, marinas, open water."""

import numpy as np

from mutdet.data.scenes.frame import Frame, moved, rectangle
from mutdet.data.scenes.objects.ships import boat, freighter
from mutdet.data.scenes.site import Site
from mutdet.data.scenes.things import Shape

_LONGEST = 230.0


def _length(shape: Shape) -> float:
    return float(np.ptp(shape.silhouette[0][:, 0]))


def _beam(shape: Shape) -> float:
    return float(np.ptp(shape.silhouette[0][:, 1]))


def water(site: Site, points: np.ndarray) -> None:
    """Water surface with ripples over a polygon [K, 2]."""
    site.canvas.cover(points, site.palette.water)
    site.canvas.waves(points, float(site.rng.uniform(0.02, 0.09)))


def shore(site: Site, frame: Frame) -> None:
    """Beach and water over a frame, whose upper edge is a winding shoreline."""
    along = np.linspace(-0.5, 0.5, 48)
    turns = site.rng.uniform(0, 2 * np.pi, 4)
    winding = sum(np.sin(2 * np.pi * along * (2.3 * k + 1) + turn) / (k + 1) for k, turn in enumerate(turns)) * site.rng.uniform(1.5, 5.0)
    sand = site.palette.soils[-1]
    for inland, material, softness in ((float(site.rng.uniform(3, 10)), sand, 1.2), (0.0, site.palette.water, 0.7)):
        edge = np.stack([along * frame.length, winding - frame.width / 2 - inland], axis=1)
        points = frame.points(np.concatenate([edge, [[frame.length / 2, frame.width / 2], [-frame.length / 2, frame.width / 2]]]))
        site.canvas.cover(points, material, softness)
    site.canvas.waves(points, float(site.rng.uniform(0.02, 0.07)))
    shallows = np.concatenate([edge, moved(edge[::-1], 0, 6)])
    site.canvas.paint(frame.points(shallows), sand.colour, 0.3, 2.5)


def marina(site: Site, frame: Frame, landing: float = 4.0) -> None:
    """Pontoons at right angles to the frame's x axis, boats moored at both sides of each from `landing` metres off its upper edge."""
    fill = float(site.rng.uniform(0.5, 0.95))
    plank = np.clip(site.palette.concrete.colour * site.rng.uniform(0.75, 1.1), 0, 245)
    x = -frame.length / 2 + 16.0
    while x < frame.length / 2 - 8:
        longest = _pontoon(site, frame, x, landing, fill, plank)
        x += 2 * longest + float(site.rng.uniform(9, 16))


def _pontoon(site: Site, frame: Frame, x: float, landing: float, fill: float, plank: np.ndarray) -> float:
    reach = frame.width / 2 - float(site.rng.uniform(2, 0.3 * frame.width))
    site.canvas.paint(frame.points(rectangle(x - 1.0, -frame.width / 2, x + 1.0, reach)), plank)
    site.stock.reserve(frame.points(rectangle(x - 0.9, -frame.width / 2, x + 0.9, reach)))
    longest = 0.0
    for side in (-1, 1):
        y = -frame.width / 2 + landing
        while y < reach - 4:
            moored = boat(site.rng)
            beam = _beam(moored)
            if site.occupied(fill):
                longest = max(longest, _length(moored))
                heading = 0.0 if (side > 0) == site.chance(0.75) else np.pi
                site.put(moored, frame, x + side * (1.6 + _length(moored) / 2), y + beam / 2, heading + site.rng.normal(0, 0.03))
            y += beam + float(site.rng.uniform(0.8, 2.0))
            if y < reach and site.chance(0.3):
                site.canvas.paint(frame.points(rectangle(x, y - 0.6, x + side * 6.0, y - 0.2)), plank)
    return max(longest, 10.0)


def quayside(site: Site, frame: Frame) -> None:
    """Ships moored along the frame's upper edge, where the quay is."""
    x = -frame.length / 2 + float(site.rng.uniform(0, 20))
    while x < frame.length / 2:
        length = ship_length(site)
        ship = freighter(site.rng, length) if length > 18 else boat(site.rng)
        length, beam = _length(ship), _beam(ship)
        if site.occupied(0.8):
            site.put(ship, frame, x + length / 2, -frame.width / 2 + beam / 2 + 1.2, np.pi * site.rng.integers(2) + site.rng.normal(0, 0.008))
        x += length + float(site.rng.uniform(5, 20))


def ship_length(site: Site) -> float:
    """Length of a ship in metres, log-uniform up to what the picture can hold."""
    longest = min(140.0, _LONGEST * site.canvas.gsd, 0.6 * site.canvas.extent)
    return float(np.exp(site.rng.uniform(np.log(9.0), np.log(max(20.0, longest)))))


def open_water(site: Site, frame: Frame) -> None:
    """Ships under way or at anchor."""
    for _ in range(int(site.rng.integers(3, 10) * site.density)):
        length = ship_length(site)
        ship = freighter(site.rng, length) if length > 18 else boat(site.rng)
        x, y = site.rng.uniform(-0.42, 0.42, 2) * (frame.length, frame.width)
        heading = float(site.rng.uniform(0, 2 * np.pi))
        if site.put(ship, frame, x, y, heading) and site.chance(0.6):
            _wake(site, frame, x, y, heading, _length(ship), _beam(ship))


def _wake(site: Site, frame: Frame, x: float, y: float, heading: float, length: float, beam: float) -> None:
    """Foam behind the stern that widens and fades over one to two lengths."""
    course = Frame(0, 0, heading, 1, 1)
    foam, stern = site.palette.water.colour * 0.4 + 120.0, -0.46 * length
    reach, steps = float(site.rng.uniform(0.8, 2.0)) * length, 7
    for step in range(1, steps + 1):
        end, spread = stern - reach * step / steps, 0.25 + 0.55 * step / steps
        plume = np.array([[stern, -0.2], [stern, 0.2], [end, spread], [end, -spread]]) * (1, beam)
        site.canvas.paint(frame.points(moved(course.points(plume), x, y)), foam, 0.16, 0.12 * beam)
    for side in (-1, 1):
        spread = 0.8 * beam + 0.12 * length
        arm = np.array([[0.35 * length, side * 0.3 * beam], [-0.7 * length, side * (spread + 0.1 * beam)], [-0.7 * length, side * (spread - 0.1 * beam)]])
        site.canvas.paint(frame.points(moved(course.points(arm), x, y)), foam, 0.3, 0.08 * beam)
