"""`scenes`: draws procedural aerial images with oriented labels."""

from pathlib import Path

import cv2
import numpy as np

from mutdet.data.scenes.draw import draw_scene
from mutdet.data.scenes.labels import dota_text
from mutdet.settings.base import Runtime
from mutdet.settings.console import progress
from mutdet.settings.scenes import ScenesFiles, ScenesSettings
from mutdet.settings.seeds import generator_for
from mutdet.tables.write import atomic_path


def run(files: ScenesFiles, settings: ScenesSettings, runtime: Runtime) -> None:
    """Write every image with its labels, then the lists of the splits.

    Each image has a generator of its own, seeded by the data set's seed and the image's name: asking for more or fewer images changes none.
    """
    cv2.setNumThreads(1)
    splits = settings.image_ids()
    for image_id in progress([image_id for image_ids in splits.values() for image_id in image_ids], "scenes"):
        scene = draw_scene(settings, generator_for(settings.seed, "scenes", image_id))
        _write(files.output / "images" / f"{image_id}.png", _png(scene.image))
        _write(files.output / "labelTxt" / f"{image_id}.txt", dota_text(scene).encode())
    for split, image_ids in splits.items():
        _write(files.output / f"{split}.txt", "".join(f"{image_id}\n" for image_id in image_ids).encode())


def _png(image: np.ndarray) -> bytes:
    _, code = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return code.tobytes()


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
