"""Random generators that depend on what is drawn for, not on shard, worker or order."""

import hashlib

import numpy as np


def seed_for(seed: int, *parts: object) -> int:
    """63-bit seed from a settings seed, a stage name and an id (same result however it is cut)."""
    text = "\x1f".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator_for(seed: int, *parts: object) -> np.random.Generator:
    """NumPy generator seeded by `seed_for`."""
    return np.random.default_rng(seed_for(seed, *parts))
