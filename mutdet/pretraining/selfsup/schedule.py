"""Learning rate of every step: linear warm-up, then half a cosine down to 0."""

import math


def cosine_factor(step: int, steps: int, warmup: int) -> float:
    """Factor on the learning rate in a step (from 0) of a training of `steps` steps.

    The warm-up rises from 1 / warmup in the first step to 1 in step warmup - 1; then (1 + cos) / 2, which would reach 0 in step `steps`.
    """
    if step < warmup:
        return (step + 1) / warmup
    return (1.0 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2.0
