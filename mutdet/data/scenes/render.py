"""From a site to pixels: shadows, bodies, trees and the instance map, drawn at three times the resolution."""

import cv2
import numpy as np

from mutdet.data.scenes.canvas import fill
from mutdet.data.scenes.site import Site, Sun, Tree
from mutdet.data.scenes.things import Shape, disc

SUPERSAMPLING = 3
_SHADE = np.array([0.47, 0.50, 0.58], dtype=np.float32)


def instance_map(shapes: list[Shape], size: int, gsd: float) -> np.ndarray:
    """Labelled bodies as ids from 1 in the order of `shapes`, [size, size] uint16; a pixel belongs to a body that covers over half of it."""
    fine = np.zeros((size * SUPERSAMPLING,) * 2, dtype=np.uint16)
    for number, shape in enumerate(shapes, start=1):
        for piece in shape.silhouette:
            fill(fine, piece * (SUPERSAMPLING / gsd), number, cv2.LINE_8)
    inside = cv2.resize((fine > 0).astype(np.uint8) * 255, (size, size), interpolation=cv2.INTER_AREA)
    nearby = cv2.dilate(fine, np.ones((SUPERSAMPLING, SUPERSAMPLING), np.uint8))[SUPERSAMPLING // 2 :: SUPERSAMPLING, SUPERSAMPLING // 2 :: SUPERSAMPLING]
    return np.where(inside > 127, nearby, 0).astype(np.uint16)


def _swept(points: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return cv2.convexHull(np.concatenate([points + low, points + high]).astype(np.float32))[:, 0]


def _cast_shadows(mask: np.ndarray, shapes: list[Shape], sun: Sun, scale: float) -> None:
    for shape in shapes:
        low, high = sun.shift(shape.lift), sun.shift(shape.height if shape.lift == 0 else 1.15 * shape.lift)
        for piece in shape.silhouette:
            fill(mask, _swept(piece, low, high) * scale, 255, cv2.LINE_8)


def _cast_tree_shadows(mask: np.ndarray, trees: list[Tree], sun: Sun, scale: float) -> None:
    for tree in trees:
        crown = disc(tree.x, tree.y, 0.9 * tree.radius, 10)
        fill(mask, _swept(crown, sun.shift(0.4 * tree.radius), sun.shift(1.3 * tree.radius)) * scale, 215, cv2.LINE_8)


def _is_shaded(mask: np.ndarray, shape: Shape, scale: float) -> bool:
    column, row = (shape.silhouette[0].mean(axis=0) * scale).astype(int)
    return 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and mask[row, column] > 0


def _draw_parts(fine: np.ndarray, shape: Shape, scale: float, light: float | np.ndarray = 1.0) -> None:
    for part in shape.parts:
        red, green, blue = (part.colour * light).tolist()
        fill(fine, part.points * scale, (red, green, blue), cv2.LINE_8)


def _draw_tree(fine: np.ndarray, tree: Tree, scale: float, sun: Sun, rng: np.random.Generator) -> None:
    x, y, radius = tree.x * scale, tree.y * scale, tree.radius * scale
    leaves = 14 if tree.radius > 1.5 else 7
    turns, reach = rng.uniform(0, 2 * np.pi, leaves), np.sqrt(rng.uniform(0, 1, leaves)) * 0.68
    across = np.stack([np.cos(turns), np.sin(turns)], axis=1) * reach[:, None]
    lit = -across @ sun.direction
    sizes = rng.uniform(0.22, 0.44, leaves) * radius
    brightness = 0.86 + 0.42 * lit + rng.normal(0, 0.09, leaves)
    cv2.circle(fine, (round(x), round(y)), max(1, round(0.8 * radius)), (tree.colour * 0.72).tolist(), -1)
    for index in np.argsort(lit):
        centre = (round(x + across[index, 0] * radius), round(y + across[index, 1] * radius))
        cv2.circle(fine, centre, max(1, round(sizes[index])), (tree.colour * brightness[index]).tolist(), -1)


def render(site: Site) -> np.ndarray:
    """Image [size, size, 3] float32 of a finished site: ground, shadows, bodies, trees."""
    size, gsd = site.canvas.size, site.canvas.gsd
    flat, buildings, objects = _sorted_by_height(site)
    fine = cv2.resize(np.clip(site.canvas.image, 0, 255).astype(np.uint8), (size * SUPERSAMPLING,) * 2, interpolation=cv2.INTER_NEAREST)
    for shape in flat:
        _draw_parts(fine, shape, SUPERSAMPLING / gsd)
    shadow: np.ndarray = np.zeros((2 * size,) * 2, dtype=np.uint8)
    _cast_tree_shadows(shadow, site.trees, site.sun, 2 / gsd)
    _cast_shadows(shadow, buildings, site.sun, 2 / gsd)
    lights = [_SHADE if _is_shaded(shadow, shape, 2 / gsd) else 1.0 for shape in objects]
    _cast_shadows(shadow, objects, site.sun, 2 / gsd)
    shadow = cv2.GaussianBlur(cv2.resize(shadow, (size, size), interpolation=cv2.INTER_AREA), (0, 0), 0.6)
    fine = cv2.multiply(fine, cv2.resize(_light(shadow), (size * SUPERSAMPLING,) * 2, interpolation=cv2.INTER_LINEAR), scale=1 / 255)
    for shape, light in zip(buildings + objects, [1.0] * len(buildings) + lights, strict=True):
        _draw_parts(fine, shape, SUPERSAMPLING / gsd, light)
    for tree in sorted(site.trees, key=lambda tree: tree.radius):
        _draw_tree(fine, tree, SUPERSAMPLING / gsd, site.sun, site.rng)
    image = cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    return image * (1 + site.canvas.wear())[..., None]


def _sorted_by_height(site: Site) -> tuple[list[Shape], list[Shape], list[Shape]]:
    """Shapes flat on the ground, buildings, and labelled objects that stand up."""
    flat = [shape for shape in site.stock if shape.height == 0]
    buildings = [shape for shape in site.stock if shape.height > 0 and shape.category is None]
    objects = [shape for shape in site.stock if shape.height > 0 and shape.category is not None]
    return flat, buildings, objects


def _light(shadow: np.ndarray) -> np.ndarray:
    """Light left in each channel under a shadow mask, [H, W, 3] uint8 in 0..255."""
    levels = np.arange(256, dtype=np.float32)[:, None] / 255
    table = np.round(255 * (1 - levels * (1 - _SHADE))).astype(np.uint8)
    return table[shadow]
