"""Table of object embeddings before projection."""

import pyarrow as pa

from mutdet.tables.fields import MASK_ID, TILE_ID
from mutdet.tables.vectors import vector_field

KEY = ["tile_id", "mask_id"]


def schema(width: int) -> pa.Schema:
    """Schema for a backbone whose last features have `width` channels."""
    return pa.schema([TILE_ID, MASK_ID, vector_field("embedding", width, "mean of the backbone's last features over the rotated crop")])
