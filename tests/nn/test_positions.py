import math

import torch

from mutdet.nn.anchors import make_anchors
from mutdet.nn.feature_levels import FeatureLevels
from mutdet.nn.positions import box_encoding, grid_encoding, sine_encoding

LEVELS = FeatureLevels(((3, 5), (2, 3)), torch.tensor([[[3, 5], [2, 3]], [[2, 4], [1, 2]]]), torch.tensor([[24, 40], [16, 32]]))


def test_sine_encoding_equals_a_loop() -> None:
    values = torch.tensor([0.1, 0.7])
    expected = []
    for value in values.tolist():
        for pair in range(4):
            phase = 2 * math.pi * value / 10000 ** (2 * pair / 8)
            expected += [math.sin(phase), math.cos(phase)]
    torch.testing.assert_close(sine_encoding(values, 8), torch.tensor(expected))


def test_order_of_coordinates() -> None:
    box = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    torch.testing.assert_close(box_encoding(box, 8), torch.cat([sine_encoding(torch.tensor([[v]]), 4) for v in (0.2, 0.1, 0.3, 0.4)], dim=-1))
    grid = grid_encoding(LEVELS, 8)
    torch.testing.assert_close(grid[0, 6], sine_encoding(torch.tensor([1.5 / 3, 1.5 / 5]), 4))


def test_tokens_know_their_place() -> None:
    padding = LEVELS.padding_mask
    assert LEVELS.starts == (0, 15)
    for image, cells in enumerate(LEVELS.cells.tolist()):
        token = 0
        for (rows, columns), (filled_rows, filled_columns) in zip(LEVELS.shapes, cells, strict=True):
            for row in range(rows):
                for column in range(columns):
                    assert bool(padding[image, token]) == (row >= filled_rows or column >= filled_columns)
                    expected = torch.tensor([(column + 0.5) / filled_columns, (row + 0.5) / filled_rows])
                    torch.testing.assert_close(LEVELS.centres()[image, token], expected)
                    token += 1
    torch.testing.assert_close(LEVELS.valid_ratios[1], torch.tensor([[4 / 5, 2 / 3], [2 / 3, 1 / 2]]))


def test_anchors() -> None:
    large = FeatureLevels(((60, 60), (2, 2)), torch.tensor([[[60, 60], [2, 2]]]), torch.tensor([[480, 480]]))
    anchors, valid = make_anchors(large, large.padding_mask)
    torch.testing.assert_close(anchors.sigmoid()[0, 61 * 30], torch.tensor([30.5 / 60, 30.5 / 60, 0.05, 0.05]))
    torch.testing.assert_close(anchors.sigmoid()[0, -1], torch.tensor([0.75, 0.75, 0.1, 0.1]))
    inner = torch.ones(60, 60, dtype=torch.bool)
    inner[[0, -1]] = inner[:, [0, -1]] = False  # centres within 1 % of the border
    assert torch.equal(valid[0, :-4], inner.flatten())
    assert torch.isfinite(anchors).all()
    assert not make_anchors(LEVELS, LEVELS.padding_mask)[1][LEVELS.padding_mask].any()
