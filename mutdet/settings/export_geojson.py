"""Settings of command export_geojson: detections as a layer of a map."""

from pathlib import Path

from pydantic import Field

from mutdet.settings.base import Files, Fraction, Settings


class ExportGeojsonSettings(Settings):
    """Which detections become features."""

    min_score: Fraction = Field(0.3, description="Detections with a lower score are left out.")


class ExportGeojsonFiles(Files):
    """Write detections of georeferenced images as GeoJSON, in degrees of longitude and latitude (WGS 84)."""

    detections: Path = Field(description="Table of merged detections (detections.parquet).")
    images: Path = Field(description="Table of images, with their coordinate systems (partition/<dataset>/images.parquet).")
    output: Path = Field(description="GeoJSON file to write.")
