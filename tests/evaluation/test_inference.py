"""From what a detector says of a tile to detections in source pixels; the detector is one that finds the same boxes everywhere."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from drawn_tables import TINY, tile_row
from torch import Tensor, nn

from mutdet.detectors.weights import DetectorFile
from mutdet.evaluation.inference import TileInference
from mutdet.nn.angles import RegressedAngle
from mutdet.nn.box_coding import box_scales
from mutdet.nn.decoder import LayerOutputs
from mutdet.settings.detect import DetectSettings

SIDE = 96
APART = [[20, 20, 10, 5], [50, 20, 10, 5], [20, 60, 10, 5]]
TWINS = [[40, 40, 30, 10], [46, 40, 30, 10]]
"""IoU 2 / 3."""


class _Finds(nn.Module):
    """Finds upright boxes (cx, cy, w, h) in pixels of its input, of one class, with the scores given."""

    coding = RegressedAngle()

    def __init__(self, boxes: Sequence[Sequence[float]], scores: Sequence[float]) -> None:
        super().__init__()
        self.boxes, self.logits = torch.tensor(boxes, dtype=torch.float32), torch.tensor(scores).logit()[:, None]

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[None, None, SimpleNamespace]:
        boxes, logits = self.boxes / box_scales(sizes)[:, None], self.logits.expand(1, len(sizes), -1, -1)
        return None, None, SimpleNamespace(matching=LayerOutputs(logits, boxes[None], angle_logits=torch.zeros_like(logits), states=logits))


def detections(boxes: Sequence[Sequence[float]], scores: Sequence[float], place: dict[str, Any] | None = None, **settings: Any) -> list[dict[str, Any]]:
    """Of a tile of `SIDE` pixels."""
    tile = tile_row("a__1", np.zeros((SIDE, SIDE, 3), np.uint8), np.zeros((0, 5), np.float32), [], **(place or {}))
    file = DetectorFile(_Finds(boxes, scores), TINY, ["ship"], {"image_size": SIDE})
    return TileInference(file, DetectSettings(**settings), torch.device("cpu"))([tile])[0]


@pytest.mark.parametrize(
    ("place", "expected"), [({}, (48.0, 24.0, 10.0, 5.0)), ({"x": 1000, "y": 500, "scale": 2.0}, (1024.0, 512.0, 5.0, 2.5))], ids=["whole image", "fine tile"]
)
def test_boxes_come_back_in_source_pixels(place, expected):
    """A detector that works at twice the tile's side."""
    (found,) = detections([[96, 48, 20, 10]], [0.9], place, image_size=2 * SIDE)
    assert tuple(found[name] for name in ("cx", "cy", "w", "h")) == pytest.approx(expected, rel=1e-5)
    assert found["angle"] == pytest.approx(0.0, abs=1e-6)
    cx, cy, w, h = expected
    assert sorted(found["polygon"][0::2]) == pytest.approx([cx - w / 2] * 2 + [cx + w / 2] * 2, rel=1e-5)
    assert sorted(found["polygon"][1::2]) == pytest.approx([cy - h / 2] * 2 + [cy + h / 2] * 2, rel=1e-5)


@pytest.mark.parametrize(("settings", "kept"), [({}, 3), ({"min_score": 0.5}, 2), ({"min_score": 0.95}, 0), ({"max_per_tile": 2}, 2), ({"max_per_tile": 1}, 1)])
def test_weak_and_surplus_detections_are_left_out(settings, kept):
    """The logit of one half is 0, whose sigmoid is one half again, so a score may equal the limit."""
    found = detections(APART, [0.25, 0.9, 0.5], **settings)
    assert [row["score"] for row in found] == pytest.approx([0.9, 0.5, 0.25][:kept])


@pytest.mark.parametrize(("threshold", "kept"), [(0.5, [0.9]), (0.7, [0.9, 0.8]), (1.0, [0.9, 0.8])])
def test_duplicates_in_a_tile_are_dropped_above_the_overlap_that_is_set(threshold, kept):
    found = detections(TWINS, [0.8, 0.9], tile_nms=threshold)
    assert [row["score"] for row in found] == pytest.approx(kept)
