"""Table of a training's log: one row per step and value."""

import pyarrow as pa

from mutdet.tables.fields import field

KEY = ["step", "name"]
SCHEMA = pa.schema(
    [
        field("step", pa.int64(), "optimiser steps done"),
        field("epoch", pa.float64(), "passes over the data done"),
        field("name", pa.string(), "what the value is, such as loss/total"),
        field("value", pa.float64(), "its value"),
    ]
)
