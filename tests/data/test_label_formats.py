"""DOTA text and DIOR-R XML."""

import math
from collections import Counter

import cv2
import numpy as np
import pytest

from mutdet.data.bad_input import BadInput
from mutdet.data.labels import load_labels, untangle
from mutdet.settings.datasets import LABEL_SUFFIXES, DatasetSettings
from mutdet.settings.errors import UserError
from mutdet.settings.registries import LABEL_FORMATS, load

SQUARE = "1 2 11 2 11 12 1 12"


def read(path, form="dota", on_error="stop", **values):
    counts, bad = Counter(), BadInput(on_error)
    labels = load_labels(path, DatasetSettings(format=form, images="images", **values), bad, counts)
    return labels, counts, bad


@pytest.fixture
def written(tmp_path):
    def write(content, name="P1.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_every_registered_format_has_a_suffix():
    assert set(LABEL_FORMATS) == set(LABEL_SUFFIXES)
    assert all(callable(load(LABEL_FORMATS, name)) for name in LABEL_FORMATS)


def test_dota_with_all_its_oddities(written):
    content = f"\ufeffimagesource:GoogleEarth\r\ngsd:0.146\r\n\r\n{SQUARE} plane 1\r\n-5.5 2 11 2 11 12 1e1 12 large-vehicle\r\n"
    labels, _, _ = read(written(content))
    assert [(label.label_id, label.category, label.difficulty) for label in labels] == [(0, "plane", 1), (1, "large-vehicle", 0)]
    assert labels[0].polygon.tolist() == [[1, 2], [11, 2], [11, 12], [1, 12]]
    assert labels[1].polygon[0].tolist() == [-5.5, 2]


@pytest.mark.parametrize("content", ["", "\n\n", "imagesource:x\ngsd:None\n", "\ufeff"])
def test_dota_without_objects(written, content):
    assert read(written(content))[0] == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("nan 2 11 2 11 12 1 12 plane 0", "coordinate 1 is 'nan', not a finite"),
        ("1 2 11 inf 11 12 1 12 plane 0", "coordinate 4 is 'inf', not a finite"),
        ("1 2 11 2 11 12 1 1e39 plane 0", "coordinate 8"),
        ("1 2 11 2 11 12 1 plane 0", "coordinate 8 is 'plane', not a number"),
        ("1 2 11 2 11 12 1 plane", "has 8 columns"),
        (f"{SQUARE} tennis court 0", "has 11 columns"),
        (f"{SQUARE} plane hard", "difficulty 'hard'"),
        (f"{SQUARE} plane -1", "difficulty '-1'"),
        ("1,2,11,2,11,12,1,12,plane,0", "has 1 columns"),
        ("{}", "has 1 columns"),
    ],
)
def test_dota_bad_line_is_named(written, line, words):
    path = written(f"imagesource:x\n{SQUARE} ship 0\n{line}\n")
    with pytest.raises(UserError) as told:
        read(path)
    assert str(told.value).startswith(f"{path}: line 3: ")
    assert words in str(told.value)
    labels, _, bad = read(path, on_error="skip")
    assert len(labels) == 1
    assert bad.labels == [str(told.value)]


@pytest.mark.parametrize("content", [b"\xff\xfe1\x00 \x00", b"\x89PNG\r\n\x1a\n\x00\xff"])
def test_dota_file_that_is_no_text(written, content):
    with pytest.raises(UserError, match="is no readable text file"):
        read(written(content), on_error="skip")


def test_unknown_category(written):
    path = written(f"{SQUARE} plane 0\n{SQUARE} boat 0\n{SQUARE} dont-care 1\n")
    rules = {"categories": ["plane", "ship"], "ignore_categories": ["dont-care"]}
    with pytest.raises(UserError, match=r"object 2: category 'boat' is not among plane, ship"):
        read(path, **rules)
    labels, counts, bad = read(path, on_unknown_category="skip", **rules)
    assert [label.category for label in labels] == ["plane", "dont-care"]
    assert [label.label_id for label in labels] == [0, 2]
    assert counts == {"unknown_category_labels": 1}
    assert bad.labels == []


@pytest.mark.parametrize("corners", ["5 5 5 5 5 5 5 5", "0 0 10 0 20 0 30 0", "0.1 0.1 0.2 0.2 0.3 0.3 0.7 0.7"])
def test_zero_area(written, corners):
    path = written(f"{corners} plane 0\n{SQUARE} plane 0\n")
    labels, counts, _ = read(path)
    assert [label.label_id for label in labels] == [1]
    assert counts == {"zero_area_labels": 1}
    with pytest.raises(UserError, match="object 1: polygon has no area"):
        read(path, on_zero_area="error")


def test_crossing_corners_are_no_zero_area(written):
    labels, counts, _ = read(written("0 0 10 10 10 0 0 10 plane 0\n"))
    assert not counts
    assert labels[0].polygon.tolist() == [[0, 0], [10, 10], [10, 0], [0, 10]]


def test_untangled_polygons_are_the_convex_outline():
    random = np.random.default_rng(0)
    crossed = 0
    for _ in range(300):
        polygon = random.uniform(0, 100, (4, 2))
        hull = cv2.convexHull(polygon.astype(np.float32))
        result = untangle(polygon[None])[0]
        area = abs(cv2.contourArea(result.astype(np.float32)))
        if len(hull) == 4:
            assert area == pytest.approx(cv2.contourArea(hull), rel=1e-4)
            crossed += bool((result != polygon).any())
        else:
            assert (result == polygon).all()
    assert crossed > 50


def dior(objects):
    return f"<annotation><filename>1.jpg</filename><size><width>800</width></size>{''.join(objects)}</annotation>"


CORNERS = "".join(
    f"<{name}>{value}</{name}>"
    for name, value in zip(
        ["x_left_top", "y_left_top", "x_right_top", "y_right_top", "x_right_bottom", "y_right_bottom", "x_left_bottom", "y_left_bottom"],
        SQUARE.split(),
        strict=True,
    )
)


def test_dior_r(written):
    hard = f"<object><name>golffield</name><difficult>1</difficult><robndbox>{CORNERS}</robndbox></object>"
    plain = f"<object><name> ship </name><robndbox>{CORNERS}</robndbox></object>"
    labels, _, _ = read(written(dior([hard, plain]), "1.xml"), "dior_r")
    assert [(label.label_id, label.category, label.difficulty) for label in labels] == [(0, "golffield", 1), (1, "ship", 0)]
    assert labels[0].polygon.tolist() == [[1, 2], [11, 2], [11, 12], [1, 12]]


def test_dior_r_box_turns_clockwise(written):
    box = f"<cx>50</cx><cy>40</cy><w>20</w><h>10</h><angle>{math.pi / 2}</angle>"
    labels, _, _ = read(written(dior([f"<object><name>car</name><robndbox>{box}</robndbox></object>"]), "1.xml"), "dior_r")
    np.testing.assert_allclose(labels[0].polygon, [[55, 30], [55, 50], [45, 50], [45, 30]], atol=1e-9)


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (f"<object><robndbox>{CORNERS}</robndbox></object>", "object has no name"),
        ("<object><name>ship</name></object>", "has no robndbox"),
        (f"<object><name>ship</name><robndbox>{CORNERS.replace('y_left_bottom', 'y')}</robndbox></object>", "robndbox has no y_left_bottom"),
        (f"<object><name>ship</name><robndbox>{CORNERS.replace('12', 'NaN')}</robndbox></object>", "coordinate 6 is 'NaN'"),
        ("<object><name>ship</name><robndbox><cx>1</cx><cy>x</cy><w>1</w><h>1</h><angle>0</angle></robndbox></object>", "robndbox: could not convert"),
        (f"<object><name>ship</name><difficult>yes</difficult><robndbox>{CORNERS}</robndbox></object>", "difficulty 'yes'"),
    ],
)
def test_dior_r_bad_object_is_named(written, item, words):
    path = written(dior([f"<object><name>ship</name><robndbox>{CORNERS}</robndbox></object>", item]), "1.xml")
    with pytest.raises(UserError) as told:
        read(path, "dior_r")
    assert str(told.value).startswith(f"{path}: object 2: ")
    assert words in str(told.value)
    assert len(read(path, "dior_r", on_error="skip")[0]) == 1


@pytest.mark.parametrize(
    "content",
    ["", "<annotation><object>", "1 2 3", '<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>'],
)
def test_dior_r_file_that_is_no_safe_xml(written, content):
    with pytest.raises(UserError, match="is no readable XML"):
        read(written(content, "1.xml"), "dior_r", on_error="skip")
