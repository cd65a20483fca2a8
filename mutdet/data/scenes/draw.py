"""One procedural aerial image with its labels and instance map."""

from dataclasses import dataclass

import cv2
import numpy as np

from mutdet.data.scenes.camera import photograph
from mutdet.data.scenes.canvas import Canvas
from mutdet.data.scenes.families import FAMILIES
from mutdet.data.scenes.frame import Frame
from mutdet.data.scenes.layouts.kinds import LAYOUTS
from mutdet.data.scenes.noise import make_bank
from mutdet.data.scenes.palette import draw_palette
from mutdet.data.scenes.render import SUPERSAMPLING, instance_map, render
from mutdet.data.scenes.site import Site, Sun
from mutdet.data.scenes.things import Shape, Stock
from mutdet.settings.scenes import SceneSettings

_SMALLEST_SIDE = 4.5
_EASY_SIDE = 5.0
_EASY_SHARE = 0.7
_SPREAD = 1.45
_SMALLEST_GROUND = 120.0  # metres


@dataclass(frozen=True)
class Scene:
    """An image and what is in it.

    Attributes:
        image: [size, size, 3] uint8 RGB.
        polygons: [M, 4, 2] float64 corners of each object's minimum-area rectangle, pixels (pixel i covers [i, i + 1)), clockwise;
            an object at the image's edge has the rectangle of its visible part, whose corners may lie outside.
        categories: M names.
        difficulties: M numbers, 1 for objects thinner than 5 pixels or cut off by the edge for over 30 %, else 0.
        instances: [size, size] uint16, number of the object + 1 where its body (without its shadow) is, 0 elsewhere.
        layout: kind of scene.
        family: palettes and textures it was drawn with.
        gsd: metres per pixel.
    """

    image: np.ndarray
    polygons: np.ndarray
    categories: list[str]
    difficulties: list[int]
    instances: np.ndarray
    layout: str
    family: str
    gsd: float


def draw_scene(settings: SceneSettings, rng: np.random.Generator) -> Scene:
    """Draw a scene; everything about it follows from the settings and the state of the generator."""
    family = settings.families[rng.integers(len(settings.families))]
    names = list(LAYOUTS)
    shares = np.array([LAYOUTS[name].share for name in names])
    layout = names[rng.choice(len(names), p=shares / shares.sum())]
    gsd = _sampling_distance(settings.gsd_range, LAYOUTS[layout].gsd_part, rng)
    site = _site(settings, family, gsd, rng)
    LAYOUTS[layout].draw(site, _ground(site.canvas.extent, rng))
    image = photograph(render(site), rng)
    labelled = [shape for shape in site.stock if shape.category is not None]
    labelled, instances = _visible(labelled, instance_map(labelled, settings.size, gsd))
    rectangles = [_label(shape, settings.size, gsd) for shape in labelled]
    polygons = np.array([polygon for polygon, _ in rectangles]).reshape(-1, 4, 2)
    categories = [str(shape.category) for shape in labelled]
    return Scene(image, polygons, categories, [difficulty for _, difficulty in rectangles], instances, layout, family, gsd)


def _ground(extent: float, rng: np.random.Generator) -> Frame:
    """Turned square that covers an image of `extent` metres; a small image shows some part of a larger place."""
    side = max(_SPREAD * extent, _SMALLEST_GROUND)
    spare = (side - _SPREAD * extent) / 2
    x, y = extent / 2 + rng.uniform(-0.7, 0.7, 2) * spare
    return Frame(float(x), float(y), float(rng.uniform(0, 2 * np.pi)), side, side)


def _sampling_distance(bounds: tuple[float, float], part: tuple[float, float], rng: np.random.Generator) -> float:
    low, high = np.log(bounds)
    return float(np.exp(low + (high - low) * rng.uniform(*part)))


def _site(settings: SceneSettings, family_name: str, gsd: float, rng: np.random.Generator) -> Site:
    family = FAMILIES[family_name]
    canvas = Canvas(settings.size, gsd, make_bank(rng, settings.size, family.noise, family.cells), rng)
    turn = rng.uniform(0, 2 * np.pi)
    sun = Sun(np.array([np.cos(turn), np.sin(turn)]), float(rng.uniform(0.35, 1.3)))
    return Site(canvas, Stock(settings.size, gsd, _SMALLEST_SIDE), [], draw_palette(rng, family), sun, rng, settings.density)


def _visible(shapes: list[Shape], instances: np.ndarray) -> tuple[list[Shape], np.ndarray]:
    """Leave out shapes without a pixel in the map, and renumber the others from 1."""
    numbers = np.unique(instances)
    numbers = numbers[numbers > 0]
    renumbered = np.zeros(len(shapes) + 1, dtype=np.uint16)
    renumbered[numbers] = np.arange(1, len(numbers) + 1)
    return [shapes[number - 1] for number in numbers], renumbered[instances]


def _label(shape: Shape, size: int, gsd: float) -> tuple[np.ndarray, int]:
    """Minimum-area rectangle [4, 2] of a shape's visible part, and its difficulty.

    The rasteriser counts touched pixels as inside: half a fine pixel is added to each side, so that label and instance map agree.
    """
    outline = shape.outline() / gsd
    visible = shape.visible_outline(size * gsd) / gsd
    centre, sides, angle = cv2.minAreaRect(visible)
    sides = (sides[0] + 1 / SUPERSAMPLING, sides[1] + 1 / SUPERSAMPLING)
    share = cv2.contourArea(visible) / cv2.contourArea(outline)
    is_hard = min(sides) < _EASY_SIDE or share < _EASY_SHARE
    return cv2.boxPoints((centre, sides, angle)).astype(np.float64), int(is_hard)
