"""Table of pseudo objects: box, pseudo-class and unit embedding."""

import pyarrow as pa

from mutdet.tables.fields import BOX, FLOAT, MASK_ID, POLYGON_FIELD, TILE_ID, field
from mutdet.tables.vectors import vector_field

KEY = ["tile_id", "mask_id"]


def schema(components: int) -> pa.Schema:
    """Schema for embeddings projected to `components` numbers."""
    return pa.schema(
        [
            TILE_ID,
            MASK_ID,
            *BOX,
            POLYGON_FIELD,
            field("score", FLOAT, "of the box, 0 to 1"),
            field("category", pa.int32(), "nearest centre of the codebook, from 0"),
            field("similarity", FLOAT, "cosine to that centre, -1 to 1"),
            vector_field("embedding", components, "projected embedding of unit length"),
        ]
    )
