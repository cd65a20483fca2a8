"""The kinds of scene: each covers a whole frame with blocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mutdet.data.scenes.blocks.airfield import apron, taxiway
from mutdet.data.scenes.blocks.harbour import marina, open_water, quayside, shore, water
from mutdet.data.scenes.blocks.industry import container_yard, tank_farm, warehouses, yard
from mutdet.data.scenes.blocks.land import farmyard, field, wood
from mutdet.data.scenes.blocks.roads import LANE, car_park, road
from mutdet.data.scenes.blocks.town import courts, flats, heliport, houses, park
from mutdet.data.scenes.frame import Frame
from mutdet.data.scenes.layouts.division import divide
from mutdet.data.scenes.site import Site

Block = Callable[[Site, Frame], None]


@dataclass(frozen=True)
class Layout:
    """Kind of scene: how it is drawn, how often, and in which part of the range of ground sampling distances (0 to 1)."""

    draw: Callable[[Site, Frame], None]
    share: float
    gsd_part: tuple[float, float]


def _choose(site: Site, blocks: Sequence[tuple[Block, float]]) -> Block:
    shares = np.array([share for _, share in blocks])
    return blocks[site.rng.choice(len(blocks), p=shares / shares.sum())][0]


def _built_up(site: Site, frame: Frame, smallest: float, blocks: Sequence[tuple[Block, float]]) -> None:
    pieces, streets = divide(frame, site.rng, smallest, 2 * LANE + 8.4)
    site.canvas.cover(frame.corners(), site.palette.concrete)
    for street in reversed(streets):
        kerb = float(site.rng.uniform(0.1, 0.5)) if site.chance(0.65) else 0.0
        road(site, street, traffic=float(site.rng.uniform(0.05, 0.35)), kerb=kerb)
    for piece in pieces:
        _choose(site, blocks)(site, piece)


def town(site: Site, frame: Frame) -> None:
    """Streets with houses, flats, car parks, courts and parks between them."""
    blocks: list[tuple[Block, float]] = [(houses, 3.2), (flats, 2), (car_park, 2.5), (courts, 3), (park, 1.2), (yard, 0.6), (heliport, 0.5)]
    _built_up(site, frame, float(site.rng.uniform(34, 46)), blocks)


def industry(site: Site, frame: Frame) -> None:
    """Streets with tank farms, halls, yards and car parks between them."""
    blocks: list[tuple[Block, float]] = [(tank_farm, 3), (warehouses, 2.5), (container_yard, 1.5), (yard, 1.5), (car_park, 1), (wood, 0.4), (heliport, 0.9)]
    _built_up(site, frame, float(site.rng.uniform(38, 55)), blocks)


def countryside(site: Site, frame: Frame) -> None:
    """Fields and woods, a road, farms."""
    pieces, lanes = divide(frame, site.rng, float(site.rng.uniform(40, 60)), 5.0)
    site.canvas.cover(frame.corners(), site.palette.grass)
    for piece in pieces:
        _choose(site, [(field, 5), (wood, 1), (farmyard, 2.2), (heliport, 0.5), (tank_farm, 0.5)])(site, piece)
    for lane in lanes[1:]:
        start, stop = lane.points(np.array([[-lane.length / 2, 0], [lane.length / 2, 0]]))
        site.canvas.line(start, stop, 2.6, site.palette.gravel.colour, 0.8)
    if lanes:
        strip = lanes[0]
        road(site, strip.part(-strip.length / 2, -6, strip.length / 2, 6), pavement=0.0, traffic=0.5)


def airport(site: Site, frame: Frame) -> None:
    """Apron and terminal, taxiway, grass, and a car park behind."""
    x, y = frame.length / 2, frame.width / 2
    top = float(site.rng.uniform(-0.75, -0.35)) * y
    bottom = float(site.rng.uniform(0.25, 0.6)) * y
    site.canvas.cover(frame.corners(), site.palette.grass)
    _built_up(site, frame.part(-x, -y, x, top), 40.0, [(car_park, 3), (warehouses, 1), (flats, 1), (heliport, 1.2)])
    taxiway(site, frame.part(-x, bottom, x, bottom + 34))
    apron(site, frame.part(-x, top, x, bottom))


def harbour(site: Site, frame: Frame) -> None:
    """Water on one side of a quay, port or town on the other."""
    x, y = frame.length / 2, frame.width / 2
    shore = float(site.rng.uniform(-0.4, 0.25)) * y
    water(site, frame.corners())
    sea = frame.part(-x, shore, x, y)
    if site.chance(0.55):
        reach = min(shore + float(site.rng.uniform(40, 75)), y)
        marina(site, frame.part(-x, shore, x, reach))
        open_water(site, frame.part(-x, min(reach, y - 10), x, y))
    else:
        quayside(site, sea)
        open_water(site, frame.part(-x, min(shore + 30, y - 10), x, y))
    land = frame.part(-x, -y, x, shore - 5)
    site.stock.reserve(frame.part(-x, shore - 5, x, shore).corners())
    port: list[tuple[Block, float]] = [(container_yard, 2), (warehouses, 2), (car_park, 2), (yard, 1), (tank_farm, 1.5)]
    behind: list[tuple[Block, float]] = [(park, 0.8), (houses, 0.6), (courts, 0.8), (heliport, 0.5)]
    _built_up(site, land, 36.0, port + behind)
    site.canvas.cover(frame.part(-x, shore - 5, x, shore).corners(), site.palette.concrete)
    site.canvas.cover(frame.part(-x, shore - 0.8, x, shore).corners(), site.palette.gravel)


def coast(site: Site, frame: Frame) -> None:
    """Beach and winding shoreline with jetties, boats before it, houses and woods behind."""
    x, y = frame.length / 2, frame.width / 2
    line = float(site.rng.uniform(-0.35, 0.15)) * y
    site.canvas.cover(frame.corners(), site.palette.grass)
    pieces, _ = divide(frame.part(-x, -y, x, line - 18), site.rng, 32.0, 5.0)
    for piece in pieces:
        _choose(site, [(houses, 3), (wood, 1.5), (field, 1), (car_park, 1), (heliport, 0.8), (courts, 0.8)])(site, piece)
    shore(site, frame.part(-x, line, x, y))
    reach = min(line + float(site.rng.uniform(35, 60)), y)
    marina(site, frame.part(-x, line - 6, x, reach), landing=15.0)
    open_water(site, frame.part(-x, min(reach, y - 10), x, y))


LAYOUTS = {
    "town": Layout(town, 0.25, (0.0, 0.45)),
    "industry": Layout(industry, 0.19, (0.1, 0.75)),
    "countryside": Layout(countryside, 0.11, (0.0, 0.6)),
    "airport": Layout(airport, 0.2, (0.35, 1.0)),
    "harbour": Layout(harbour, 0.18, (0.1, 1.0)),
    "coast": Layout(coast, 0.1, (0.0, 0.7)),
}
