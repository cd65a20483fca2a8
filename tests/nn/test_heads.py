"""What heads and feed-forward blocks do before they have learnt anything."""

import pytest
import torch
from torch import Tensor, nn

from mutdet.nn.feed_forward import FeedForward
from mutdet.nn.heads import DetectionHead, EncoderHead
from mutdet.settings.detectors import DetectorSettings

SETTINGS = DetectorSettings(width=32, heads=4)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def states() -> Tensor:
    return torch.randn(2, 50, SETTINGS.width, generator=torch.Generator().manual_seed(0))


def test_every_class_has_a_probability_of_one_percent_at_first() -> None:
    nothing = torch.zeros(1, SETTINGS.width)
    for layer in (EncoderHead(SETTINGS, 1).objectness, DetectionHead(SETTINGS, 7, 1).classes):
        torch.testing.assert_close(layer(nothing).sigmoid(), torch.full((1, layer.out_features), 0.01))


def test_boxes_start_as_their_references(states: Tensor) -> None:
    references = torch.rand(2, 50, 4, generator=torch.Generator().manual_seed(1)) * 0.98 + 0.01
    torch.testing.assert_close(EncoderHead(SETTINGS, 1).boxes(states, references.logit()), references)
    torch.testing.assert_close(DetectionHead(SETTINGS, 7, 1).refine(states, references), references)


def test_both_layers_of_a_feed_forward_block_have_dropout_in_training_alone() -> None:
    """With weights of the identity each dropout of one half lets a number through twice as large or not at all."""
    block = FeedForward(64, 64, dropout=0.5)
    for layer in (block.expand, block.contract):
        nn.init.eye_(layer.weight)
    ones = torch.ones(100, 64)
    trained = block.train()(ones).detach()
    assert set(trained.unique().tolist()) == {0.0, 4.0}
    assert float(trained.mean()) == pytest.approx(1.0, abs=0.1)  # standard deviation 0.02
    assert torch.equal(block.eval()(ones), ones)
