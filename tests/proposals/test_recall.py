"""The measure of the small SAM, on a generator that knows every object of the scene."""

import numpy as np
import pytest

from mutdet.data.scenes.draw import draw_scene
from mutdet.proposals.mask import Mask, Region
from mutdet.proposals.recall import measure, recall_by_category
from mutdet.settings.boxes import BoxesSettings
from mutdet.settings.scenes import SceneSettings
from mutdet.settings.seeds import generator_for
from mutdet.settings.small_sam import RecallSettings

EVERY_BOX = BoxesSettings(masks="m", min_side=0, max_area_share=10)


class Knowing:
    """Gives the objects of a scene as masks, later ones with a higher predicted IoU."""

    tiles_per_batch = 1

    def __init__(self, scene):
        count = len(scene.categories)
        planes = [np.ascontiguousarray(scene.instances == number + 1, np.uint8) for number in range(count)]
        self._masks = [Mask(plane.shape, Region.of(plane), (number + 1) / count, 1.0, (0.0, 0.0)) for number, plane in enumerate(planes)]

    def search(self, images, tile_ids):
        return [lambda: self._masks]


@pytest.fixture(scope="module")
def scene():
    return draw_scene(SceneSettings(size=256), generator_for(0, "test_crops", 1))


def measured(scene, **settings):
    return measure(Knowing(scene), EVERY_BOX, scene, "t", RecallSettings(**settings))


def test_objects_count_whose_shorter_side_is_long_enough_and_are_found_by_their_own_masks(scene):
    edges = np.linalg.norm(np.roll(scene.polygons, -1, axis=1) - scene.polygons, axis=2)
    for limit in (0.0, 8.0):
        tile = measured(scene, min_short_side=limit)
        assert tile.categories == [name for name, own in zip(scene.categories, edges, strict=True) if own.min() >= limit]
    assert 0 < len(tile.categories) < tile.boxes == len(scene.categories)
    assert tile.found.all()
    assert recall_by_category([tile])["all"] == (len(tile.found), len(tile.found))


def test_boxes_of_highest_score_alone_and_a_high_overlap_find_less(scene):
    best = measured(scene, min_short_side=0.0, max_boxes=1)
    assert best.boxes == 1
    assert np.flatnonzero(best.found).tolist() == [len(scene.categories) - 1]
    assert not measured(scene, iou=1.0).found.any()
