"""Boxes on a map: corners in degrees, and features of GeoJSON (RFC 7946)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.warp import transform as reproject

from mutdet.settings.errors import UserError
from mutdet.tables.atomic import atomic_path

_DECIMALS = 8
"""Of a degree: a millimetre on the ground."""


def corners_in_degrees(polygons: NDArray[np.floating], crs: str, transform: Sequence[float]) -> NDArray[np.float64]:
    """[D, 4, 2] longitude and latitude (WGS 84) of corners [D, 4, 2] in pixels (column, row), where pixel i covers [i, i + 1).

    Args:
        polygons: corners in source pixels.
        crs: the image's coordinate reference system as WKT.
        transform: affine transform a b c d e f from pixels to it.

    Raises:
        UserError: the system cannot be read, or has no way to WGS 84 at these places.
    """
    a, b, c, d, e, f = transform
    columns, rows = polygons.reshape(-1, 2).astype(np.float64).T
    try:
        degrees = np.array(reproject(CRS.from_wkt(crs), "EPSG:4326", a * columns + b * rows + c, d * columns + e * rows + f)).T
    except Exception as error:  # GDAL's errors have no public class in rasterio.
        raise UserError(f"its coordinates cannot be turned into degrees: {error}", remedy="correct the coordinate system in the image file") from error
    return degrees.reshape(-1, 4, 2)


def feature(ring: NDArray[np.float64], properties: Mapping[str, Any]) -> dict[str, Any]:
    """A polygon of corners [4, 2] in degrees, closed and anticlockwise, as the standard wants it."""
    here = ring - ring[0]  # or the area of a small object far from 0 would be lost in rounding
    there = np.roll(here, -1, axis=0)
    clockwise = (here[:, 0] * there[:, 1] - here[:, 1] * there[:, 0]).sum() < 0
    ordered = (ring[::-1] if clockwise else ring).round(_DECIMALS).tolist()
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[*ordered, ordered[0]]]}, "properties": dict(properties)}


def write_features(path: Path, features: Iterable[Mapping[str, Any]]) -> int:
    """Write a collection, one feature a line and one in memory; gives their number."""
    written = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for one in features:
            file.write(f"{',' if written else ''}\n{json.dumps(one, ensure_ascii=False)}")
            written += 1
        file.write("\n]}\n")
    return written
