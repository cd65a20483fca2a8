"""Materials of one scene, drawn from a family."""

from dataclasses import dataclass

import numpy as np

from mutdet.data.scenes.families import Colour, Family


@dataclass(frozen=True)
class Material:
    """Ground: mean colour (RGB, 0 to 255) and relative amplitude of the noise fields coarse, middle, fine, grain.

    Attributes:
        tint: RGB shift per unit of a second, coarse noise: patches of another hue.
    """

    colour: np.ndarray
    weights: tuple[float, float, float, float]
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Palette:
    """Materials and colours of one scene."""

    water: Material
    grass: Material
    soils: tuple[Material, ...]
    asphalt: Material
    concrete: Material
    gravel: Material
    trees: tuple[np.ndarray, ...]
    roofs: tuple[np.ndarray, ...]


def jitter(rng: np.random.Generator, colour: Colour | np.ndarray, amount: float = 6.0) -> np.ndarray:
    """Colour [3] with its brightness and hue moved a little, clipped to 0..255."""
    return np.clip(np.asarray(colour, dtype=np.float64) + rng.normal(0, amount) + rng.normal(0, amount / 3, 3), 0, 255)


def draw_palette(rng: np.random.Generator, family: Family) -> Palette:
    """Choose and jitter a scene's materials."""

    def material(colours: tuple[Colour, ...], weights: tuple[float, float, float, float], tint: tuple[float, float, float] = (0, 0, 0)) -> Material:
        scaled = tuple(weight * family.contrast * rng.uniform(0.75, 1.3) for weight in weights)
        return Material(jitter(rng, colours[rng.integers(len(colours))]), (scaled[0], scaled[1], scaled[2], scaled[3]), tint)

    return Palette(
        water=material(family.water, (0.07, 0.02, 0.015, 0.015), (1.5, 4.0, 3.0)),
        grass=material(family.grass, (0.07, 0.06, 0.06, 0.05), (8.0, 2.0, 1.0)),
        soils=tuple(material((colour,), (0.06, 0.05, 0.05, 0.04), (5.0, 3.0, 0.0)) for colour in family.soils),
        asphalt=material(family.asphalt, (0.05, 0.03, 0.025, 0.03)),
        concrete=material(family.concrete, (0.05, 0.035, 0.025, 0.025), (2.0, 1.0, -1.0)),
        gravel=material(family.gravel, (0.07, 0.06, 0.05, 0.06), (3.0, 2.0, 0.0)),
        trees=tuple(jitter(rng, colour) for colour in family.trees),
        roofs=tuple(jitter(rng, colour, 8.0) for colour in family.roofs),
    )
