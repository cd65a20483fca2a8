"""Drawing of single shapes: bodies against exact areas, shadows against the sun."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import contains_xy
from shapely.geometry import Polygon
from shapely.ops import unary_union

from mutdet.data.scenes.canvas import Canvas
from mutdet.data.scenes.draw import _label
from mutdet.data.scenes.families import FAMILIES
from mutdet.data.scenes.frame import Frame, rectangle
from mutdet.data.scenes.noise import NoiseKind, make_bank, noise
from mutdet.data.scenes.objects.planes import jet
from mutdet.data.scenes.palette import draw_palette
from mutdet.data.scenes.render import instance_map, render
from mutdet.data.scenes.site import Site, Sun
from mutdet.data.scenes.things import Part, Shape, Stock, clip_to_square

GREY = np.full(3, 120.0)


def box(length: float, width: float, height: float = 0.0, category: str | None = "lorry") -> Shape:
    body = rectangle(-length / 2, -width / 2, length / 2, width / 2)
    return Shape((body,), (Part(body, GREY),), height, category=category)


def empty_site(size: int, sun: Sun) -> Site:
    rng = np.random.default_rng(0)
    family = FAMILIES["arid"]
    canvas = Canvas(size, 1.0, make_bank(rng, size, family.noise, family.cells), rng)
    canvas.image[:] = 200
    return Site(canvas, Stock(size, 1.0, 4.5), [], draw_palette(rng, family), sun, rng, 1.0)


@settings(max_examples=60, deadline=None)
@given(length=st.floats(8, 60), width=st.floats(5, 30), angle=st.floats(0, 6.3), x=st.floats(40, 60), y=st.floats(40, 60))
def test_instance_map_holds_the_pixels_whose_centres_lie_inside(length: float, width: float, angle: float, x: float, y: float) -> None:
    shape = box(length, width).placed(x, y, angle)
    drawn = instance_map([shape], 100, 1.0) == 1
    columns, rows = np.meshgrid(np.arange(100) + 0.5, np.arange(100) + 0.5)
    exact = Polygon(shape.silhouette[0])
    assert drawn[contains_xy(exact.buffer(-0.25), columns, rows)].all()
    assert not drawn[~contains_xy(exact.buffer(0.5), columns, rows)].any()


def test_instance_of_a_plane_is_the_union_of_its_pieces() -> None:
    shape = jet(np.random.default_rng(1), 70.0).placed(60, 60, 0.7)
    exact = unary_union([Polygon(piece).buffer(1 / 6) for piece in shape.silhouette])
    drawn = instance_map([shape], 120, 1.0) == 1
    assert abs(np.count_nonzero(drawn) / exact.area - 1) < 0.03
    rows, columns = np.nonzero(drawn)
    assert columns.mean() + 0.5 - exact.centroid.x < 0.3
    assert rows.mean() + 0.5 - exact.centroid.y < 0.3


def test_shadow_falls_away_from_the_sun_and_off_the_body() -> None:
    for direction in ((1.0, 0.0), (0.0, 1.0), (-0.6, 0.8)):
        site = empty_site(96, Sun(np.array(direction), 1.0))
        assert site.stock.add(box(16, 16, height=14.0), 48.0, 48.0, 0.0)
        image = render(site).mean(axis=2)
        toward, away = (np.array([48, 48]) + sign * 15 * np.array(direction) for sign in (-1, 1))
        assert image[int(away[1]), int(away[0])] < 130
        assert image[int(toward[1]), int(toward[0])] > 180
        shadow = (image < 110) & (instance_map(site.stock.shapes, 96, 1.0) == 0)
        assert shadow.sum() > 150


def test_stock_refuses_overlaps_and_slivers() -> None:
    stock = Stock(100, 1.0, 4.5)
    assert stock.add(box(20, 8), 50, 50, 0.3)
    assert not stock.add(box(20, 8), 55, 52, 1.0)
    assert stock.add(box(20, 8), 50, 70, 0.3)
    assert not stock.add(box(20, 3), 20, 20, 0.0), "thinner than the smallest side"
    assert not stock.add(box(20, 8), 106, 10, 0.0), "a fifth of it visible"
    assert stock.add(box(20, 8), 98, 10, 0.0), "over half of it visible"
    assert len(stock.shapes) == 3


@pytest.mark.parametrize(
    ("x", "width", "difficulty"),
    [(50.0, 10.0, 0), (50.0, 5.5, 0), (50.0, 4.5, 1), (95.0, 10.0, 0), (97.0, 10.0, 1)],
    ids=["whole", "narrow", "thin", "a quarter cut off", "over a third cut off"],
)
@pytest.mark.parametrize("gsd", [1.0, 0.25])
def test_thin_objects_and_those_cut_off_are_difficult(x: float, width: float, difficulty: int, gsd: float) -> None:
    polygon, found = _label(box(20 * gsd, width * gsd).placed(x * gsd, 50 * gsd, 0.0), 100, gsd)
    assert found == difficulty
    np.testing.assert_allclose(np.ptp(polygon, axis=0), [min(20, 110 - x) + 1 / 3, width + 1 / 3], atol=1e-3)


@settings(max_examples=50, deadline=None)
@given(x=st.floats(-20, 120), y=st.floats(-20, 120), angle=st.floats(0, 6.3))
def test_clipping_agrees_with_shapely(x: float, y: float, angle: float) -> None:
    piece = box(40, 16).placed(x, y, angle).silhouette[0]
    exact = Polygon(piece).intersection(Polygon(rectangle(0, 0, 100, 100))).area
    clipped = clip_to_square(piece, 100)
    assert abs((Polygon(clipped).area if len(clipped) > 2 else 0.0) - exact) < 0.05


@settings(max_examples=50, deadline=None)
@given(angle=st.floats(-4, 4), length=st.floats(5, 50), width=st.floats(5, 50))
def test_frames_keep_their_ground(angle: float, length: float, width: float) -> None:
    frame = Frame(3.0, -2.0, angle, length, width)
    whole = Polygon(frame.corners())
    assert abs(whole.symmetric_difference(Polygon(frame.lengthwise().corners())).area) < 1e-6
    assert frame.lengthwise().length >= frame.lengthwise().width
    part = Polygon(frame.part(-length / 4, -width / 2, length / 2, 0).corners())
    assert whole.buffer(1e-6).contains(part)
    assert abs(part.area - 0.375 * length * width) < 1e-6


def test_noise_is_normalised() -> None:
    kinds: tuple[NoiseKind, ...] = ("smooth", "billow", "ridged", "cells", "streaks")
    for kind in kinds:
        field = noise(np.random.default_rng(2), kind, 200, 9.0)
        assert field.shape == (200, 200)
        assert abs(field.mean()) < 1e-3
        assert abs(field.std() - 1) < 1e-3
