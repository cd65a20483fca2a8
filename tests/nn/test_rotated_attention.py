import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from mutdet.geometry.rotated_boxes_torch import corners
from mutdet.nn.feature_levels import FeatureLevels
from mutdet.nn.rotated_attention import around_rotated_boxes, nearest_upright

HEIGHT, WIDTH = 96, 160


def test_offsets_turn_with_the_box_in_pixels() -> None:
    # the second image fills only a part of the levels
    levels = FeatureLevels(((12, 20), (6, 10)), torch.tensor([[[12, 20], [6, 10]], [[9, 12], [5, 6]]]), torch.tensor([[HEIGHT, WIDTH], [72, 96]]))
    generator = torch.Generator().manual_seed(0)
    boxes = torch.rand(2, 3, 4, generator=generator)
    angles = (torch.rand(2, 3, generator=generator) - 0.5) * math.pi / 2
    offsets = torch.randn(2, 3, 2, 2, 4, 2, generator=generator)
    locations = around_rotated_boxes(boxes, angles, levels, points=4)(offsets)
    for b, q, h, level, p in torch.cartesian_prod(*map(torch.arange, offsets.shape[:-1])).tolist():
        height, width = levels.sizes[b].tolist()
        (cx, cy, w, h_side), angle = boxes[b, q].tolist(), float(angles[b, q])
        side = max(height, width)
        dx, dy = float(offsets[b, q, h, level, p, 0]) * w * side / 8, float(offsets[b, q, h, level, p, 1]) * h_side * side / 8
        x = cx * width + dx * math.cos(angle) - dy * math.sin(angle)
        y = cy * height + dx * math.sin(angle) + dy * math.cos(angle)
        (rows, columns), (filled_rows, filled_columns) = levels.shapes[level], levels.cells[b, level].tolist()
        expected = torch.tensor([x / width * filled_columns / columns, y / height * filled_rows / rows])
        torch.testing.assert_close(locations[b, q, h, level, p], expected)


@given(
    st.floats(1, 100),
    st.floats(1, 100),
    st.floats(-math.pi / 2, math.pi / 2 - 1e-6),
)
def test_nearest_upright_names_the_same_rectangle(w: float, h: float, angle: float) -> None:
    box, turn = torch.tensor([50.0, 40.0, w, h], dtype=torch.float64), torch.tensor(angle, dtype=torch.float64)
    upright, rest = nearest_upright(box, turn)
    assert abs(float(rest)) <= math.pi / 4 + 1e-12
    a, b = (corners(torch.cat([x, y[None]])[None])[0] for x, y in ((box, turn), (upright, rest)))
    assert torch.cdist(a, b).amin(1).max() < 1e-9
