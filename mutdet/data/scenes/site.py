"""What every block needs in order to draw itself."""

from dataclasses import dataclass

import numpy as np

from mutdet.data.scenes.canvas import Canvas
from mutdet.data.scenes.frame import Frame
from mutdet.data.scenes.palette import Palette, jitter
from mutdet.data.scenes.things import Shape, Stock, disc

WHITE = np.array([222.0, 222.0, 216.0])
YELLOW = np.array([206.0, 172.0, 62.0])


@dataclass(frozen=True)
class Tree:
    """Crown of a tree: place and radius in metres, colour RGB."""

    x: float
    y: float
    radius: float
    colour: np.ndarray


@dataclass(frozen=True)
class Sun:
    """Direction in which shadows fall (unit vector, y down) and their length per metre of height."""

    direction: np.ndarray
    length: float

    def shift(self, height: float) -> np.ndarray:
        """Where the shadow of a point at `height` metres falls, relative to the point."""
        return self.direction * (self.length * height)


@dataclass
class Site:
    """A scene in the making."""

    canvas: Canvas
    stock: Stock
    trees: list[Tree]
    palette: Palette
    sun: Sun
    rng: np.random.Generator
    density: float

    def roof_colour(self) -> np.ndarray:
        """One of the scene's roof colours, RGB."""
        return jitter(self.rng, self.palette.roofs[self.rng.integers(len(self.palette.roofs))], 9.0)

    def chance(self, probability: float) -> bool:
        """True with a probability, whatever the scene's density."""
        return bool(self.rng.random() < probability)

    def occupied(self, probability: float) -> bool:
        """Whether a place for a vehicle, ship or plane is taken, at the scene's density."""
        return bool(self.rng.random() < min(1.0, probability * self.density))

    def put(self, shape: Shape, frame: Frame, x: float, y: float, heading: float = 0.0) -> bool:
        """Place a shape at x, y of a frame, heading relative to the frame's x axis; tells whether it found room."""
        place = frame.points(np.array([[x, y]]))[0]
        return self.stock.add(shape, float(place[0]), float(place[1]), frame.angle + heading)

    def plant(self, frame: Frame, count: int, smallest: float = 1.2, largest: float = 4.0) -> None:
        """Trees of a radius between two bounds (metres) at random free places of a frame."""
        for _ in range(count):
            x, y = self.rng.uniform(-0.5, 0.5, 2) * (frame.length, frame.width)
            self.plant_at(frame, x, y, float(self.rng.uniform(smallest, largest)))

    def plant_at(self, frame: Frame, x: float, y: float, radius: float) -> None:
        """One tree at x, y of a frame, unless something stands there."""
        place = frame.points(np.array([[x, y]]))[0]
        if self.stock.free(place[0], place[1], radius + 0.5):
            colour = self.palette.trees[self.rng.integers(len(self.palette.trees))] * self.rng.uniform(0.8, 1.25)
            self.stock.shelter(disc(place[0], place[1], radius, 10))
            self.trees.append(Tree(float(place[0]), float(place[1]), radius, colour))
