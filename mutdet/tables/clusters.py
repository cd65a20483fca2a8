"""Table of the clusters of a codebook."""

import pyarrow as pa

from mutdet.tables.fields import FLOAT, field

KEY = ["cluster"]
SCHEMA = pa.schema(
    [
        field("cluster", pa.int32(), "row of the codebook's centres, from 0; the largest cluster is the first"),
        field("size", pa.int64(), "objects whose nearest centre this is"),
        field("share", FLOAT, "size over all objects, 0 to 1"),
        field("mean_similarity", FLOAT, "mean cosine of these objects to the centre; null where there is none", nullable=True),
        field("min_similarity", FLOAT, "smallest such cosine", nullable=True),
    ]
)
