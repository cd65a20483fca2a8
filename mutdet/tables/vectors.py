"""Vectors in a table: fixed-size binary of little-endian float16."""

import numpy as np
import pyarrow as pa

_DTYPE = np.dtype("<f2")


def vector_field(name: str, length: int, description: str) -> pa.Field:
    """Column of vectors with `length` float16 numbers; length and type stand in the field's metadata."""
    metadata = {"description": description, "vector_length": str(length), "vector_type": "float16 little-endian"}
    return pa.field(name, pa.binary(length * _DTYPE.itemsize), nullable=False, metadata=metadata)


def vectors_to_column(vectors: np.ndarray) -> pa.Array:
    """Column of a [rows, length] array; rounds to float16."""
    rounded = np.ascontiguousarray(vectors, dtype=_DTYPE)
    width = rounded.shape[1] * _DTYPE.itemsize
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(rounded), [None, pa.py_buffer(rounded.tobytes())])


def column_to_vectors(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """[rows, length] float32 array of a vector column."""
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    length = column.type.byte_width // _DTYPE.itemsize
    parts = [np.frombuffer(c.buffers()[1], _DTYPE)[c.offset * length : (c.offset + len(c)) * length].reshape(-1, length) for c in chunks if len(c)]
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros((0, length), np.float32)
