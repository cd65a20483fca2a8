"""Scenes: labels against the instance map, spread of objects, determinism."""

from collections import Counter

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Polygon

from mutdet.data.scenes.draw import Scene, draw_scene
from mutdet.data.scenes.families import FAMILIES
from mutdet.settings.scenes import HELD_OUT_FAMILIES, TRAINING_FAMILIES, SceneSettings
from mutdet.settings.seeds import generator_for


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw_scene(SceneSettings(), generator_for(3, "scenes", number)) for number in range(20)]


def mask_rectangle(mask: np.ndarray) -> Polygon:
    """Rectangle of a mask from the corners of its pixels, each cut into four by four."""
    rows, columns = np.nonzero(mask)
    centres = np.stack([columns, rows], axis=1)[:, None] * 4 + np.array([[0, 0], [0, 3], [3, 0], [3, 3]])
    (x, y), sides, angle = cv2.minAreaRect(centres.reshape(-1, 2).astype(np.float32))
    return Polygon(cv2.boxPoints((((x + 0.5) / 4, (y + 0.5) / 4), ((sides[0] + 1) / 4, (sides[1] + 1) / 4), angle)))


def overlap(a: Polygon, b: Polygon) -> float:
    return a.intersection(b).area / a.union(b).area


def window(instances: np.ndarray, number: int) -> np.ndarray:
    return (instances == number).astype(np.uint8)


def test_shapes_and_types(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.image.shape == (512, 512, 3)
        assert scene.image.dtype == np.uint8
        assert scene.instances.dtype == np.uint16
        assert scene.polygons.shape == (len(scene.categories), 4, 2)
        assert len(scene.difficulties) == len(scene.categories)
        assert list(np.unique(scene.instances[scene.instances > 0])) == list(range(1, len(scene.categories) + 1))


def test_labels_fit_instances(scenes: list[Scene]) -> None:
    small, large = [], []
    for scene in scenes:
        for number, (polygon, category, difficulty) in enumerate(zip(scene.polygons, scene.categories, scene.difficulties, strict=True), start=1):
            inside = polygon.min() > 1 and polygon.max() < 511
            if inside and difficulty == 0 and category in ("ship", "lorry", "tennis-court", "container"):
                group = large if min(np.linalg.norm(polygon[1] - polygon[0]), np.linalg.norm(polygon[2] - polygon[1])) > 14 else small
                group.append(overlap(Polygon(polygon), mask_rectangle(window(scene.instances, number))))
    assert len(small) > 50
    assert len(large) > 20
    assert np.min(small) > 0.7
    assert np.quantile(large, 0.02) > 0.9


def test_bodies_lie_inside_their_labels(scenes: list[Scene]) -> None:
    for scene in scenes[:8]:
        for number, polygon in enumerate(scene.polygons, start=1):
            rows, columns = np.nonzero(scene.instances == number)
            region = Polygon(polygon).buffer(0.5).envelope.bounds
            assert columns.min() + 0.5 >= region[0]
            assert columns.max() + 0.5 <= region[2]
            assert rows.min() + 0.5 >= region[1]
            assert rows.max() + 0.5 <= region[3]


def test_rectangles_are_right_angled(scenes: list[Scene]) -> None:
    polygons = np.concatenate([scene.polygons for scene in scenes])
    first, second = polygons[:, 1] - polygons[:, 0], polygons[:, 2] - polygons[:, 1]
    cosines = (first * second).sum(axis=1) / (np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1))
    assert np.abs(cosines).max() < 1e-3


def test_variety(scenes: list[Scene]) -> None:
    counts = Counter(category for scene in scenes for category in scene.categories)
    assert len(counts) >= 6
    assert set(counts) <= {"car", "container", "helipad", "lorry", "plane", "ship", "storage-tank", "tennis-court"}
    polygons = np.concatenate([scene.polygons for scene in scenes])
    sides = np.stack([np.linalg.norm(polygons[:, 1] - polygons[:, 0], axis=1), np.linalg.norm(polygons[:, 2] - polygons[:, 1], axis=1)])
    short = sides.min(axis=0)
    assert short.min() > 4.5
    assert np.quantile(short, 0.05) < 7
    assert short.max() > 45
    directions = np.arctan2(*(polygons[:, 1] - polygons[:, 0]).T) % (np.pi / 2)
    assert (np.histogram(directions, bins=9, range=(0, np.pi / 2))[0] > 0).all()


def test_objects_do_not_overlap(scenes: list[Scene]) -> None:
    for scene in scenes[:5]:
        for number in range(1, len(scene.categories) + 1):
            pieces, _ = cv2.connectedComponents(window(scene.instances, number), connectivity=8)
            assert pieces <= 3, "a body is cut in pieces by another"


def test_same_state_gives_same_scene() -> None:
    first, second = (draw_scene(SceneSettings(size=128), generator_for(1, "scenes", "a")) for _ in range(2))
    assert np.array_equal(first.image, second.image)
    assert np.array_equal(first.instances, second.instances)
    assert np.array_equal(first.polygons, second.polygons)


def test_families_are_disjoint_and_complete() -> None:
    assert not set(TRAINING_FAMILIES) & set(HELD_OUT_FAMILIES)
    assert set(TRAINING_FAMILIES) | set(HELD_OUT_FAMILIES) == set(FAMILIES)
    looks = [(family.water, family.grass, family.soils, family.asphalt, family.gravel) for family in FAMILIES.values()]
    assert len(set(looks)) == len(FAMILIES)
    textures = {(FAMILIES[name].noise, FAMILIES[name].cells) for name in TRAINING_FAMILIES}
    assert not textures & {(FAMILIES[name].noise, FAMILIES[name].cells) for name in HELD_OUT_FAMILIES}


def test_scene_uses_a_family_asked_for() -> None:
    drawn = {draw_scene(SceneSettings(size=64, families=["arid", "nordic"]), generator_for(0, number)).family for number in range(12)}
    assert drawn == {"arid", "nordic"}


def test_density_scales_the_number_of_objects() -> None:
    counts = [sum(len(draw_scene(SceneSettings(size=256, density=d), generator_for(5, i)).categories) for i in range(8)) for d in (0.2, 1.0)]
    assert counts[0] < 0.6 * counts[1]


@settings(max_examples=15, deadline=None)
@given(size=st.integers(64, 200), seed=st.integers(0, 10**6), gsd=st.floats(0.1, 2.0))
def test_any_size_and_distance(size: int, seed: int, gsd: float) -> None:
    scene = draw_scene(SceneSettings(size=size, gsd_range=(gsd, gsd)), generator_for(seed, "any"))
    assert scene.image.shape == (size, size, 3)
    assert scene.instances.shape == (size, size)
    assert scene.instances.max(initial=0) == len(scene.categories)
    assert np.isfinite(scene.polygons).all()
