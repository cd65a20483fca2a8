"""`scenes`: draws procedural aerial images with oriented labels."""

from pathlib import Path

import cv2
import numpy as np

from mutdet.data.scenes.draw import draw_scene
from mutdet.data.scenes.labels import dota_text
from mutdet.settings.base import Runtime
from mutdet.settings.console import log, progress
from mutdet.settings.scenes import IMAGE_ID, ScenesFiles, ScenesSettings
from mutdet.settings.seeds import generator_for
from mutdet.tables.atomic import atomic_path

_PLACES = {"images": ".png", "labelTxt": ".txt"}
"""Folder and suffix of an image's two files."""


def run(files: ScenesFiles, settings: ScenesSettings, runtime: Runtime) -> None:
    """Write every image with its labels, then the lists of the splits; images and labels left by settings that asked for more are deleted.

    Each image has a generator of its own, seeded by the data set's seed and the image's name: asking for more or fewer images changes none.
    """
    cv2.setNumThreads(1)
    splits = settings.image_ids()
    for image_id in progress([image_id for image_ids in splits.values() for image_id in image_ids], "scenes"):
        scene = draw_scene(settings, generator_for(settings.seed, "scenes", image_id))
        for (place, suffix), content in zip(_PLACES.items(), (_png(scene.image), dota_text(scene).encode()), strict=True):
            _write(files.output / place / f"{image_id}{suffix}", content)
    for split, image_ids in splits.items():
        _write(files.output / f"{split}.txt", "".join(f"{image_id}\n" for image_id in image_ids).encode())
    _delete_others(files.output, {image_id for image_ids in splits.values() for image_id in image_ids})


def _delete_others(folder: Path, image_ids: set[str]) -> None:
    """Delete scenes that are not asked for; a file of any other name is somebody else's and stays."""
    for place, suffix in _PLACES.items():
        stale = [path for path in (folder / place).glob(f"*{suffix}") if IMAGE_ID.fullmatch(path.stem) and path.stem not in image_ids]
        for path in stale:
            path.unlink()
        if stale:
            log.info("scenes: deleted %d files of %s that these settings do not ask for", len(stale), folder / place)


def _png(image: np.ndarray) -> bytes:
    _, code = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return code.tobytes()


def _write(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
