"""Boxes of overlapping tiles merged to whole images."""

import numpy as np
import pytest

from mutdet.evaluation.merging import merge_tiles, tile_to_source
from mutdet.geometry.rotated_boxes import corners


def test_tile_to_source_moves_and_scales_the_corners():
    boxes = np.array([[100, 50, 40, 10, 0.3], [0, 0, 8, 4, -1.2]])
    np.testing.assert_allclose(corners(tile_to_source(boxes, 600, 1200, 0.5)), corners(boxes) / 0.5 + [600, 1200])
    assert boxes[0, 0] == 100


def test_an_object_seen_by_two_tiles_is_kept_once():
    whole = [650, 300, 80, 20, 0.4]
    from_left = tile_to_source([[650, 300, 80, 20, 0.4]], 0, 0, 1.0)
    from_right = tile_to_source([[50 * 2, 300 * 2, 160, 40, 0.4]], 600, 0, 2.0)
    other_class = tile_to_source([[650, 300, 80, 20, 0.4]], 0, 0, 1.0)
    boxes = np.concatenate([from_left, from_right, other_class])
    kept = merge_tiles(boxes, [0.7, 0.9, 0.8], ["ship", "ship", "harbor"], 0.1, 100)
    assert kept.tolist() == [1, 2]
    assert boxes[1] == pytest.approx(whole)


def test_only_the_best_stay_under_the_limit():
    boxes = [[100.0 * i, 0, 10, 5, 0] for i in range(5)]
    assert merge_tiles(boxes, [0.1, 0.5, 0.3, 0.5, 0.2], [0] * 5, 0.1, 3).tolist() == [1, 3, 2]
    assert merge_tiles(np.zeros((0, 5)), [], [], 0.1, 3).tolist() == []
