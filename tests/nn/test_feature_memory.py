"""Features of a frozen backbone that are kept."""

import pytest
import torch

from mutdet.nn.backbones import build_backbone
from mutdet.nn.feature_memory import FeatureMemory


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    found = build_backbone("resnet18")
    found.set_extent("nothing")
    return found


@pytest.fixture
def passes(backbone):
    """How many images each pass through the backbone had."""
    found = []
    backbone.register_forward_hook(lambda module, inputs, output: found.append(len(inputs[0])))
    return found


def images(count, seed=0, side=64):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def test_features_are_the_backbones(backbone):
    batch, memory = images(3), FeatureMemory()
    for _ in range(2):
        for found, expected in zip(memory.features(backbone, batch), backbone(batch), strict=True):
            torch.testing.assert_close(found, expected)
            assert not found.requires_grad


def test_an_image_passes_once_whatever_its_neighbours(backbone, passes):
    batch, memory = images(3), FeatureMemory()
    first = memory.features(backbone, batch)
    again = memory.features(backbone, batch[[2, 0, 0]])
    assert passes == [1, 1, 1]
    for before, after in zip(first, again, strict=True):
        assert torch.equal(after, before[[2, 0, 0]])
    alone = FeatureMemory().features(backbone, batch[2:])
    assert all(torch.equal(one, many[2:]) for one, many in zip(alone, first, strict=True))


def test_a_flipped_image_and_other_sizes_and_precisions_are_other_images(backbone, passes):
    batch, memory = images(1), FeatureMemory()
    memory.features(backbone, batch)
    memory.features(backbone, batch.flip(3))
    memory.features(backbone, batch.reshape(1, 3, 32, 128))
    with torch.autocast("cpu", torch.bfloat16):
        memory.features(backbone, batch)
    assert len(passes) == 4


def test_other_weights_are_noticed(backbone, passes):
    batch, memory = images(1), FeatureMemory()
    before = memory.features(backbone, batch)
    other = build_backbone("resnet18").state_dict()
    backbone.load_state_dict(other)
    after = memory.features(backbone, batch)
    assert len(passes) == 2
    assert not torch.equal(before[0], after[0])
    assert len(memory.features(build_frozen(), batch)) == 3


def build_frozen():
    found = build_backbone("resnet18")
    found.set_extent("nothing")
    return found


def test_a_backbone_that_trains_is_run_on_the_whole_batch(backbone, passes):
    memory = FeatureMemory()
    backbone.set_extent("upper")
    for _ in range(2):
        assert memory.features(backbone, images(3))[2].requires_grad
    assert passes == [3, 3]


def test_room_is_bounded(backbone, passes, monkeypatch):
    one = sum(level.nbytes for level in backbone(images(1)))
    monkeypatch.setattr("mutdet.nn.feature_memory.KEPT_BYTES", 2 * one)
    memory, batch = FeatureMemory(), images(4)
    passes.clear()
    for _ in range(2):
        memory.features(backbone, batch)
    assert passes == [1] * 6
