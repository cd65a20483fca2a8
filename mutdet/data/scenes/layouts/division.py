"""Dividing a frame into blocks."""

import numpy as np

from mutdet.data.scenes.frame import Frame


def divide(frame: Frame, rng: np.random.Generator, smallest: float, gap: float) -> tuple[list[Frame], list[Frame]]:
    """Cut a frame at random until its blocks are less than about twice `smallest` metres long.

    Args:
        gap: width of the strip left free at each cut, metres.

    Returns:
        The blocks, and the strips between them with x along each.
    """
    frame = frame.lengthwise()
    if frame.length < 2 * smallest + gap:
        return [frame], []
    place = float(rng.uniform(-0.5, 0.5)) * (frame.length - 2 * smallest - gap)
    x, y = frame.length / 2, frame.width / 2
    strip = frame.part(place - gap / 2, -y, place + gap / 2, y).turned()
    blocks, strips = [], [strip]
    for piece in (frame.part(-x, -y, place - gap / 2, y), frame.part(place + gap / 2, -y, x, y)):
        inner_blocks, inner_strips = divide(piece, rng, smallest, gap)
        blocks += inner_blocks
        strips += inner_strips
    return blocks, strips
