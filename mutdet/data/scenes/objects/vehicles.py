"""Cars, lorries and freight containers."""

import numpy as np

from mutdet.data.scenes.frame import moved, rectangle
from mutdet.data.scenes.things import Part, Shape, darker

_PAINTS = np.array(
    [[226, 227, 226], [198, 200, 202], [150, 153, 156], [104, 107, 111], [44, 46, 50], [30, 30, 34],
     [52, 74, 116], [86, 112, 150], [148, 38, 36], [112, 30, 34], [62, 84, 66], [184, 170, 142], [198, 150, 50]], dtype=np.float64
)  # fmt: skip
_PAINT_SHARES = np.array([22, 14, 11, 9, 12, 6, 7, 4, 6, 2, 2, 3, 2]) / 100
_FREIGHT = np.array(
    [[152, 62, 46], [62, 88, 128], [70, 108, 86], [206, 204, 198], [172, 118, 54], [120, 124, 130], [110, 44, 44], [196, 168, 72]], dtype=np.float64
)  # fmt: skip
_GLASS = np.array([44.0, 52.0, 60.0])


def rounded(length: float, width: float, nose: float, tail: float) -> np.ndarray:
    """Outline [8, 2] of a box whose front and rear corners are cut by `nose` and `tail` metres."""
    x, y = length / 2, width / 2
    return np.array(
        [[x - nose, -y], [x, -y + 0.6 * nose], [x, y - 0.6 * nose], [x - nose, y], [-x + tail, y], [-x, y - 0.6 * tail], [-x, -y + 0.6 * tail], [-x + tail, -y]]
    )


def car(rng: np.random.Generator) -> Shape:
    """Passenger car or van: body, bonnet, windows and roof."""
    length, width = rng.uniform(3.9, 5.1), rng.uniform(1.8, 2.1)
    paint = np.clip(_PAINTS[rng.choice(len(_PAINTS), p=_PAINT_SHARES)] + rng.normal(0, 8) + rng.normal(0, 4, 3), 12, 244)
    body = rounded(length, width, 0.55, 0.35)
    is_van = rng.random() < 0.2
    front, rear = (0.36 if is_van else 0.2) * length, (-0.48 if is_van else -0.36) * length
    glass = rectangle(rear, -0.43 * width, front, 0.43 * width)
    roof = rectangle(rear + (0.1 if is_van else 0.45), -0.38 * width, front - 0.75, 0.38 * width)
    parts = (
        Part(body, darker(paint, 0.93)),
        Part(rectangle(-length / 2 + 0.2, -0.36 * width, length / 2 - 0.35, 0.36 * width), paint),
        Part(glass, _GLASS * rng.uniform(0.7, 1.2)),
        Part(roof, darker(paint, 1.06)),
    )
    return Shape((body,), parts, 1.5 + 0.6 * is_van, category="car")


def lorry(rng: np.random.Generator) -> Shape:
    """Cab and load: a rigid lorry, a trailer with a box, a container or an open bed."""
    length, width = rng.uniform(7.5, 16.5), rng.uniform(2.45, 2.6)
    front, cab_length = length / 2, rng.uniform(2.0, 2.5)
    cab_paint = np.clip(_PAINTS[rng.choice(len(_PAINTS), p=_PAINT_SHARES)] + rng.normal(0, 10, 3), 20, 244)
    load = _FREIGHT[rng.integers(len(_FREIGHT))] if rng.random() < 0.35 else np.full(3, rng.uniform(185, 236))
    load = np.clip(load + rng.normal(0, 6, 3), 0, 248)
    body = rounded(length, width, 0.3, 0.05)
    cab_end = front - cab_length
    box = rectangle(-length / 2, -width / 2, cab_end - rng.uniform(0.3, 0.8), width / 2)
    parts = [
        Part(body, np.array([58.0, 58.0, 60.0])),
        Part(moved(rounded(cab_length, width * 0.96, 0.3, 0.05), front - cab_length / 2, 0), cab_paint),
        Part(rectangle(front - 0.75, -0.42 * width, front - 0.25, 0.42 * width), _GLASS),
        Part(box, load),
    ]
    if rng.random() < 0.5:
        parts.append(Part(rectangle(box[0, 0] + 0.4, -0.06, box[1, 0] - 0.4, 0.06), darker(load, 0.85)))
    if rng.random() < 0.2:
        parts.append(Part(rectangle(box[0, 0] + 0.3, -0.4 * width, box[1, 0] - 0.3, 0.4 * width), darker(load, 0.55)))
    return Shape((body,), tuple(parts), 3.6, category="lorry")


def container(rng: np.random.Generator) -> Shape:
    """Freight container of 20 or 40 feet, ribs across its roof."""
    length, width = (12.19 if rng.random() < 0.6 else 6.06), 2.6
    paint = np.clip(_FREIGHT[rng.integers(len(_FREIGHT))] * rng.uniform(0.85, 1.1) + rng.normal(0, 5, 3), 10, 244)
    body = rectangle(-length / 2, -width / 2, length / 2, width / 2)
    ribs = [rectangle(x, -0.46 * width, x + 0.25, 0.46 * width) for x in np.arange(-length / 2 + 0.6, length / 2 - 0.4, 1.2)]
    frame = rectangle(-length / 2 + 0.15, -width / 2 + 0.15, length / 2 - 0.15, width / 2 - 0.15)
    parts = [Part(body, darker(paint, 0.8)), Part(frame, paint)] + [Part(rib, darker(paint, 0.9)) for rib in ribs]
    return Shape((body,), tuple(parts), 2.6 * int(rng.integers(1, 3)), category="container")
