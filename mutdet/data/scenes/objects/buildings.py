"""Buildings: never labelled, they fill the scene and cast shadows."""

import numpy as np

from mutdet.data.scenes.frame import moved, rectangle, rotate
from mutdet.data.scenes.site import Sun
from mutdet.data.scenes.things import Part, Shape, darker, disc


def flat_roof(rng: np.random.Generator, length: float, width: float, height: float, colour: np.ndarray) -> Shape:
    """Flat roof with a parapet, panels, and machines on it."""
    body = rectangle(-length / 2, -width / 2, length / 2, width / 2)
    edge = min(0.6, 0.05 * width)
    top = rectangle(-length / 2 + edge, -width / 2 + edge, length / 2 - edge, width / 2 - edge)
    parts = [Part(body, darker(colour, rng.uniform(1.05, 1.25))), Part(top, colour)]
    if rng.random() < 0.5:
        for x in np.arange(-length / 2 + 4, length / 2 - 1, rng.uniform(4, 9)):
            parts.append(Part(rectangle(x, -width / 2 + edge, x + 0.25, width / 2 - edge), darker(colour, 0.9)))
    for _ in range(int(rng.integers(0, int(3 + length * width / 150)))):
        parts += _machine(rng, length, width, colour)
    return Shape((body,), tuple(parts), height)


def _machine(rng: np.random.Generator, length: float, width: float, colour: np.ndarray) -> list[Part]:
    x, y = rng.uniform(-0.42, 0.42) * length, rng.uniform(-0.4, 0.4) * width
    long, wide = rng.uniform(0.8, 0.06 * length + 1.2), rng.uniform(0.8, 0.06 * width + 1.0)
    if rng.random() < 0.3:
        return [Part(disc(x, y, wide / 2 + 0.3, 12), darker(colour, 0.7))]
    shade = rectangle(x + 0.3, y + 0.3, x + long + 0.5, y + wide + 0.5)
    return [Part(shade, darker(colour, 0.6)), Part(rectangle(x, y, x + long, y + wide), darker(colour, rng.uniform(0.85, 1.35)))]


def gabled_roof(rng: np.random.Generator, length: float, width: float, colour: np.ndarray, sun: Sun, angle: float) -> Shape:
    """Pitched or hipped roof whose faces are lit by where they look; `angle` is the heading it will be placed with."""
    x, y = length / 2, width / 2
    ridge = x - (width / 2 if rng.random() < 0.4 and length > 1.2 * width else 0.0)
    faces = {
        (0, -1): np.array([[-x, -y], [x, -y], [ridge, 0], [-ridge, 0]]),
        (0, 1): np.array([[x, y], [-x, y], [-ridge, 0], [ridge, 0]]),
        (1, 0): np.array([[x, -y], [x, y], [ridge, 0]]),
        (-1, 0): np.array([[-x, y], [-x, -y], [-ridge, 0]]),
    }
    parts = []
    for normal, points in faces.items():
        facing = -float(rotate(np.array([normal], dtype=np.float64), angle)[0] @ sun.direction)
        parts.append(Part(points, darker(colour, 0.95 + 0.22 * facing)))
    parts.append(Part(rectangle(-ridge, -0.15, ridge, 0.15), darker(colour, 1.15)))
    if rng.random() < 0.6:
        chimney = moved(rectangle(0, 0, 0.9, 0.9), rng.uniform(-0.6, 0.6) * x, rng.uniform(-0.5, 0.2) * y)
        parts.append(Part(chimney, darker(colour, 0.5)))
    return Shape((rectangle(-x, -y, x, y),), tuple(parts), float(rng.uniform(4, 7)))
