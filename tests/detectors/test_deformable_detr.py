"""Deformable DETR without ARS-DETR's additions: the shared parts work, the additions are absent."""

from dataclasses import replace

import pytest
import torch
from drawn_tables import TINY
from generators import generators
from pseudo_batch import CLASSES, noise_images, pseudo_objects

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.detectors.deformable_detr import DeformableDetr
from mutdet.detectors.types import Targets
from mutdet.detectors.weights import load_detector, save_detector
from mutdet.geometry.rotated_boxes_torch import to_le90
from mutdet.settings.detectors import DetectorSettings

SETTINGS = TINY.model_copy(update={"kind": "deformable_detr"})


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = DeformableDetr(SETTINGS, CLASSES)
    for parameter in [*model.encoder_head.parameters(), *model.heads.parameters()]:
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def test_differs_from_ars_detr_in_angle_heads_and_denoising_alone(model):
    other = {name: value.shape for name, value in ArsDetr(TINY, CLASSES).state_dict().items()}
    own = {name: value.shape for name, value in model.state_dict().items()}
    assert set(other) - set(own) == {"denoising_labels.weight"}
    assert {name.rsplit(".", 2)[1] for name in own if own[name] != other[name]} == {"angle"}


def test_there_are_no_denoising_queries(model):
    images, sizes = noise_images(2)
    done = model.train_pass(images, sizes, [pseudo_objects(3), pseudo_objects(2, 1)], generators(2))
    assert done.detection.denoising is None
    assert {name.split("/")[0] for name in done.detection.values} == {"encoder", "decoder0", "decoder1"}
    sum(done.detection.values.values()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@torch.no_grad()
def test_attention_does_not_turn_with_boxes_and_ars_detrs_does(model):
    changed = {}
    for detector in (model, ArsDetr(TINY, CLASSES)):
        encoded, proposals, decoded = detector.eval()(*noise_images(1))
        turned = replace(proposals, reference_angles=proposals.reference_angles + 0.4)
        states = detector.decode(encoded, turned).matching.states
        changed[type(detector)] = (states[0] - decoded.matching.states[0]).abs().max().item()
    assert changed[DeformableDetr] == 0
    assert changed[ArsDetr] > 1e-4


def test_elongated_boxes_count_no_more_than_others(model):
    boxes = torch.tensor([[48.0, 48, 60, 6, 0.5], [48.0, 48, 20, 20, 0.5]])
    objects = model._collect([Targets(boxes, torch.zeros(2, dtype=torch.int64))], torch.tensor([[96, 96]]))
    assert objects.angle_weights.tolist() == [1.0, 1.0]


@torch.no_grad()
def test_batch_equals_each_image_alone(model):
    sizes = torch.tensor([[96, 96], [64, 80]])
    images, _ = noise_images(2)
    images[1, :, 64:], images[1, :, :, 80:] = 0.0, 0.0
    together = model.eval().predict(images, sizes, 20)
    for number, (height, width) in enumerate(sizes.tolist()):
        (alone,) = model.predict(images[number : number + 1, :, :height, :width], top=20)
        torch.testing.assert_close(together[number].boxes, alone.boxes, atol=1e-2, rtol=1e-4)
        torch.testing.assert_close(to_le90(alone.boxes), alone.boxes)


def test_a_file_brings_the_same_kind_back(model, tmp_path):
    save_detector(tmp_path / "a.safetensors", model.eval(), [str(n) for n in range(CLASSES)])
    read = load_detector(tmp_path / "a.safetensors")
    assert isinstance(read.model, DeformableDetr)
    images, sizes = noise_images(1)
    assert torch.equal(read.model.predict(images, sizes)[0].boxes, model.predict(images, sizes)[0].boxes)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="choose one of ars_detr, deformable_detr"):
        DetectorSettings(kind="magic")


@pytest.mark.parametrize("seed", [0, 1])
def test_learns_angles(seed):
    """One tile, one long box: after some steps the best query's angle is the box's."""
    torch.manual_seed(seed)
    model = DeformableDetr(SETTINGS.model_copy(update={"angle_weight": 10.0}), 1).train()
    model.train_backbone("nothing")
    images, sizes = noise_images(1)
    target = Targets(torch.tensor([[40.0, 50.0, 40.0, 10.0, 0.9]]), torch.zeros(1, dtype=torch.int64))
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)
    for _ in range(40):
        losses = model.train_pass(images, sizes, [target], generators(1)).detection.values
        optimiser.zero_grad(set_to_none=True)
        sum(losses.values()).backward()
        optimiser.step()
    (found,) = model.eval().predict(images, sizes, 1)
    assert abs(found.boxes[0, 4].item() - 0.9) < 0.15
