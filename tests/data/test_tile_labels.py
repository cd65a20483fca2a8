"""Which objects belong to a tile, against shapely."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPoint, box

from mutdet.data.label import Label
from mutdet.data.tile_labels import TileLabels
from mutdet.data.windows import Window


def label(polygon, difficulty=0, label_id=0):
    return Label(label_id, np.array(polygon, float).reshape(4, 2), "ship", difficulty)


def rectangle(cx, cy, w, h, angle):
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2) @ turn.T + [cx, cy]


def place(labels, window, fraction=0.7, scale=1.0):
    counts = Counter()
    tile = TileLabels(labels, fraction, counts)
    rows = tile.of(window, scale)
    tile.finish()
    return rows, counts


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.sampled_from([0.1, 0.5, 0.7, 1.0]), st.booleans())
def test_rule_is_that_of_shapely(seed, count, fraction, crossed):
    random = np.random.default_rng(seed)
    polygons = [rectangle(*random.uniform(-20, 180, 2), *random.uniform(1, 90, 2), random.uniform(-4, 4)) for _ in range(count)]
    if crossed:
        polygons = [polygon[[0, 2, 1, 3]] for polygon in polygons]
    difficulties = random.integers(0, 3, count)
    window = Window(30, 40, 100, 1.0)
    rows, counts = place([label(p, int(d), i) for i, (p, d) in enumerate(zip(polygons, difficulties, strict=True))], window, fraction, 0.5)
    area = box(30, 40, 130, 140)
    shapes = [MultiPoint(polygon).convex_hull for polygon in polygons]
    shares = np.array([shape.intersection(area).area / shape.area for shape in shapes])
    if np.abs(shares - fraction).min() < 1e-9 and fraction < 1:
        return
    kept = np.flatnonzero([area.contains(s) or area.covers(s) for s in shapes] if fraction == 1 else shares >= fraction)
    assert len(rows) == len(kept)
    for row, index in zip(rows, kept, strict=True):
        np.testing.assert_allclose(np.reshape(row["polygon"], (4, 2)), (polygons[index] - [30, 40]) / 2)
        assert row["difficulty"] == (difficulties[index] if area.covers(shapes[index]) else 2)
    assert counts["kept_objects"] == len(kept)
    assert counts["objects"] == count
    assert counts["objects_in_no_tile"] == count - len(kept)
    assert counts["objects_below_label_fraction"] == np.count_nonzero((shares > 1e-9) & ~np.isin(np.arange(count), kept))


@pytest.mark.parametrize(
    ("polygon", "difficulty"),
    [
        ([93, 10, 103, 10, 103, 20, 93, 20], 2),  # exactly 70 % inside
        ([94, 10, 104, 10, 104, 20, 94, 20], None),
        ([90, 10, 100, 10, 100, 20, 90, 20], 1),  # touches the border from inside
        ([100, 10, 110, 10, 110, 20, 100, 20], None),
        ([-3, -1, 97, -1, 97, 99, -3, 99], 2),  # reaches outside the image
    ],
)
def test_borders(polygon, difficulty):
    rows, _ = place([label(polygon, 1)], Window(0, 0, 100, 1.0))
    assert [row["difficulty"] for row in rows] == ([] if difficulty is None else [difficulty])
    assert all(row["polygon"] == polygon for row in rows)


def test_larger_than_the_window_is_below_the_limit():
    rows, counts = place([label([-50, -50, 150, -50, 150, 150, -50, 150])], Window(0, 0, 100, 1.0))
    assert rows == []
    assert counts["objects_below_label_fraction"] == 1


def test_no_object_and_a_thousand():
    assert place([], Window(0, 0, 100, 1.0))[0] == []
    rows, _ = place([label(rectangle(50, 50, 9, 4, i), label_id=i) for i in range(1000)], Window(0, 0, 100, 1.0))
    assert len(rows) == 1000


def test_objects_in_two_tiles_are_in_no_less_than_one():
    counts = Counter()
    tile = TileLabels([label(rectangle(50, 50, 9, 4, 0)), label(rectangle(500, 50, 9, 4, 0))], 0.7, counts)
    assert len(tile.of(Window(0, 0, 100, 1.0), 1.0)) == len(tile.of(Window(40, 0, 100, 1.0), 1.0)) == 1
    tile.finish()
    assert counts == {"objects": 2, "kept_objects": 2, "truncated_objects": 0, "objects_below_label_fraction": 0, "objects_in_no_tile": 1}
