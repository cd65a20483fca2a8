"""Aeroplanes seen from above."""

import numpy as np

from mutdet.data.scenes.frame import rectangle
from mutdet.data.scenes.things import Part, Shape, darker

_LIVERIES = np.array([[40, 62, 120], [168, 36, 40], [30, 110, 90], [220, 130, 40], [90, 60, 120], [70, 72, 76]], dtype=np.float64)


def _fuselage(length: float, width: float) -> np.ndarray:
    along = np.array([0.5, 0.485, 0.45, 0.39, 0.25, -0.15, -0.3, -0.42, -0.5]) * length
    half = np.array([0.0, 0.22, 0.38, 0.48, 0.5, 0.5, 0.42, 0.25, 0.08]) * width
    upper = np.stack([along, half], axis=1)
    return np.concatenate([upper, upper[1:][::-1] * (1, -1)])


def _wing(root: float, tip: float, chord: float, tip_chord: float, span: float, side: int) -> np.ndarray:
    return np.array([[root, 0.0], [tip, side * span], [tip - tip_chord, side * span], [root - chord, 0.0]])


def jet(rng: np.random.Generator, span: float) -> Shape:
    """Airliner or business jet with swept wings of a given span (metres) and two or four engines."""
    length, width = span * rng.uniform(0.98, 1.2), span * rng.uniform(0.105, 0.125)
    sweep = rng.uniform(0.36, 0.5)
    root, chord = length * rng.uniform(0.08, 0.14), length * rng.uniform(0.19, 0.23)
    wings = [_wing(root, root - sweep * span / 2, chord, 0.3 * chord, span / 2, side) for side in (-1, 1)]
    tail_root, tail_chord, tail_span = -0.37 * length, 0.1 * length, span * rng.uniform(0.17, 0.21)
    tails = [_wing(tail_root, tail_root - 0.6 * tail_span, tail_chord, 0.4 * tail_chord, tail_span, side) for side in (-1, 1)]
    engines = [_engine(y * span / 2, root, sweep, length) for y in _engine_places(rng)]
    body = _fuselage(length, width)
    return _assemble(rng, body, wings, tails, engines, length, width)


def _engine_places(rng: np.random.Generator) -> tuple[float, ...]:
    return (-0.62, -0.34, 0.34, 0.62) if rng.random() < 0.2 else (-0.34, 0.34)


def _engine(y: float, root: float, sweep: float, length: float) -> np.ndarray:
    x, half = root - sweep * abs(y), 0.019 * length
    return np.array([[x + 0.045 * length, y - half], [x + 0.045 * length, y + half], [x - 0.04 * length, y + 0.7 * half], [x - 0.04 * length, y - 0.7 * half]])


def light_aircraft(rng: np.random.Generator, span: float) -> Shape:
    """Propeller aircraft with straight wings of a given span, metres."""
    length, width = span * rng.uniform(0.7, 0.85), span * rng.uniform(0.1, 0.125)
    chord, root = span * rng.uniform(0.13, 0.17), 0.2 * length
    wings = [_wing(root, root - 0.15 * chord, chord, rng.uniform(0.6, 0.9) * chord, span / 2, side) for side in (-1, 1)]
    tail_span = span * rng.uniform(0.15, 0.19)
    tails = [_wing(-0.38 * length, -0.4 * length, 0.1 * length, 0.07 * length, tail_span, side) for side in (-1, 1)]
    return _assemble(rng, _fuselage(length, width), wings, tails, [], length, width)


def _assemble(
    rng: np.random.Generator, body: np.ndarray, wings: list[np.ndarray], tails: list[np.ndarray], engines: list[np.ndarray], length: float, width: float
) -> Shape:
    paint = np.full(3, rng.uniform(205, 242)) if rng.random() < 0.8 else np.full(3, rng.uniform(120, 170))
    paint = np.clip(paint + rng.normal(0, 3, 3), 0, 250)
    livery = np.clip(_LIVERIES[rng.integers(len(_LIVERIES))] + rng.normal(0, 8, 3), 0, 250)
    wing_paint = darker(paint, rng.uniform(0.82, 0.95))
    parts = [Part(engine, darker(paint, 0.62)) for engine in engines]
    parts += [Part(piece, wing_paint) for piece in (*wings, *tails)]
    parts += [Part(_flap(wing), darker(wing_paint, 0.88)) for wing in wings]
    parts += [Part(body, darker(paint, 0.9)), Part(body * (0.99, 0.62), paint)]
    if rng.random() < 0.4:
        parts.append(Part(rectangle(-0.3 * length, -0.16 * width, 0.3 * length, 0.16 * width), livery))
    parts.append(Part(rectangle(0.43 * length, -0.2 * width, 0.46 * length, 0.2 * width), np.array([52.0, 60.0, 70.0])))
    parts.append(Part(rectangle(-0.5 * length, -0.09 * width, -0.34 * length, 0.09 * width), livery))
    return Shape((body, *wings, *tails, *engines), tuple(parts), 0.13 * length, lift=0.05 * length, category="plane")


def _flap(wing: np.ndarray) -> np.ndarray:
    front_root, front_tip, rear_tip, rear_root = wing
    return np.array([rear_root + 0.22 * (front_root - rear_root), rear_tip + 0.22 * (front_tip - rear_tip), rear_tip, rear_root])
