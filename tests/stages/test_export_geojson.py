"""Command `export_geojson`: corners on a map against closed formulas, rings as the standard wants them, bad input."""

import json
import math

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS
from rasterio.transform import Affine

from mutdet.data.images import open_image
from mutdet.evaluation.geojson import corners_in_degrees, feature
from mutdet.geometry.rotated_boxes import corners
from mutdet.settings.base import Runtime
from mutdet.settings.errors import UserError
from mutdet.settings.export_geojson import ExportGeojsonFiles, ExportGeojsonSettings
from mutdet.stages.export_geojson import run
from mutdet.tables import detections, images
from mutdet.tables.write import write_table

RADIUS = 6378137.0
"""Of the sphere of EPSG:3857, metres."""
MERCATOR = CRS.from_epsg(3857).to_wkt()
TURNED = [0.4, 0.3, 1_200_000.0, 0.3, -0.4, 6_500_000.0]
"""Half a metre a pixel, the image's rows turned against the map's."""
BOX_NAMES = ("cx", "cy", "w", "h", "angle")
BOXES = np.array([[100.0, 50.0, 40.0, 10.0, 0.5], [300.0, 200.0, 30.0, 30.0, -1.2], [20.0, 20.0, 12.0, 6.0, 0.0]])


def by_formula(polygons, transform):
    """Inverse of the spherical Mercator projection."""
    a, b, c, d, e, f = transform
    x, y = a * polygons[..., 0] + b * polygons[..., 1] + c, d * polygons[..., 0] + e * polygons[..., 1] + f
    return np.stack([np.degrees(x / RADIUS), np.degrees(2 * np.arctan(np.exp(y / RADIUS)) - math.pi / 2)], axis=-1)


def image_row(name, crs=MERCATOR, transform=TURNED):
    facts = {"path": f"{name}.tif", "width": 500, "height": 500, "bands": 3, "sha256": ""}
    return {"dataset": "toy", "image_id": name, "split": ["test"], **facts, "crs": crs, "transform": transform}


def detection_rows(name, scores=(0.9, 0.5, 0.1)):
    return [
        {"dataset": "toy", "image_id": name, "polygon": polygon, "category": "ship", "score": score} | dict(zip(BOX_NAMES, box, strict=True))
        for polygon, box, score in zip(corners(BOXES).reshape(-1, 8).tolist(), BOXES.tolist(), scores, strict=True)
    ]


def export(tmp_path, image_rows, found, **settings):
    files = ExportGeojsonFiles(detections=tmp_path / "detections.parquet", images=tmp_path / "images.parquet", output=tmp_path / "map.geojson")
    write_table(files.images, image_rows, images.SCHEMA)
    write_table(files.detections, found, detections.SCHEMA)
    run(files, ExportGeojsonSettings(**settings), Runtime())
    return json.loads(files.output.read_text())


def rings(content):
    return [np.array(one["geometry"]["coordinates"][0]) for one in content["features"]]


def test_corners_are_where_the_projection_puts_them():
    polygons = corners(BOXES)
    found = corners_in_degrees(polygons, MERCATOR, TURNED)
    # PROJ computes in double precision: a millionth of a millimetre, in degrees, with room for its iteration.
    np.testing.assert_allclose(found, by_formula(polygons, TURNED), rtol=0, atol=1e-11)


@pytest.mark.parametrize("transform", [TURNED, [0.5, 0.0, 1_200_000.0, 0.0, 0.5, 6_500_000.0]])
def test_rings_are_closed_and_anticlockwise(tmp_path, transform):
    content = export(tmp_path, [image_row("P0", transform=transform)], detection_rows("P0"), min_score=0.0)
    assert content["type"] == "FeatureCollection"
    for ring, polygon in zip(rings(content), by_formula(corners(BOXES), transform), strict=True):
        assert ring.shape == (5, 2)
        assert (ring[0] == ring[-1]).all()
        assert sum(x * v - y * u for (x, y), (u, v) in zip(ring - ring[0], ring[1:] - ring[0], strict=False)) > 0
        # The same corners, in whatever order; written to eight decimals, stored in float32 pixels.
        np.testing.assert_allclose(sorted(ring[:4].tolist()), sorted(polygon.tolist()), rtol=0, atol=2e-8)


def test_scores_categories_and_images_of_one_file(tmp_path):
    found = detection_rows("P0") + detection_rows("P1", (0.8, 0.3, 0.29))
    content = export(tmp_path, [image_row("P0"), image_row("P1")], found)
    facts = [(one["properties"]["image_id"], one["properties"]["score"]) for one in content["features"]]
    assert facts == [("P0", 0.9), ("P0", 0.5), ("P1", 0.8), ("P1", 0.3)]
    assert {(one["properties"]["dataset"], one["properties"]["category"]) for one in content["features"]} == {("toy", "ship")}
    assert export(tmp_path, [image_row("P0")], detection_rows("P0"), min_score=0.95)["features"] == []


def test_a_geotiff_finds_its_place(tmp_path):
    path = tmp_path / "P0.tif"
    with rasterio.open(path, "w", driver="GTiff", width=500, height=400, count=3, dtype="uint8", crs="EPSG:3857", transform=Affine(*TURNED)) as file:
        file.write(np.zeros((3, 400, 500), np.uint8))
    with open_image(path) as image:
        row = image_row("P0", image.crs, image.transform)
    found, expected = rings(export(tmp_path, [row], detection_rows("P0"))), by_formula(corners(BOXES), TURNED)
    np.testing.assert_allclose([ring[:4].mean(axis=0) for ring in found], expected[:2].mean(axis=1), rtol=0, atol=2e-8)


def test_images_without_a_place_are_told_of(tmp_path, caplog):
    content = export(tmp_path, [image_row("P0"), image_row("P1", None, None)], detection_rows("P0") + detection_rows("P1"))
    assert len(content["features"]) == 2
    assert "left out: detections of 1 images that are not georeferenced, such as P1" in caplog.text


def test_bad_input_is_one_line_and_leaves_no_file(tmp_path):
    with pytest.raises(UserError, match=r"images\.parquet: no image is georeferenced; cut images"):
        export(tmp_path, [image_row("P0", None, None)], detection_rows("P0"))
    with pytest.raises(UserError, match=r"detections\.parquet: image 'P1' of dataset 'toy' is not in the table of images"):
        export(tmp_path, [image_row("P0")], detection_rows("P1"))
    for crs, where in (("nonsense", TURNED), ('LOCAL_CS["site",UNIT["metre",1]]', TURNED), (CRS.from_epsg(32633).to_wkt(), [1e30, 0, 0, 0, 1e30, 0])):
        with pytest.raises(UserError, match=r"^P0.tif: its coordinates cannot be turned into degrees: .*; correct the coordinate system"):
            export(tmp_path, [image_row("P0", crs, where)], detection_rows("P0"))
    assert not (tmp_path / "map.geojson").exists()


def test_either_direction_of_a_tiny_ring_far_from_the_origin_ends_anticlockwise():
    square = np.array([170.0, 60.0]) + 1e-7 * np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    for ring in (square, square[::-1]):
        assert feature(ring, {})["geometry"]["coordinates"] == [[*square.round(8).tolist(), square[0].round(8).tolist()]]
