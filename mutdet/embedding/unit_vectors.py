"""Vectors of unit length."""

import numpy as np


def unit_length(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to unit length; a zero row has no direction and becomes the first axis."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, 1e-12)
    unit[lengths[:, 0] <= 1e-12, 0] = 1.0
    return unit
