import math
from dataclasses import replace

import pytest
import torch
from drawn_objects import random_outputs, random_targets
from generators import generators
from torch import nn

from mutdet.nn.criterion import denoising_losses
from mutdet.nn.decoder import LayerOutputs
from mutdet.nn.denoising import DenoisingQueries, attention_mask, make_denoising_queries
from mutdet.settings.detectors import DetectorSettings

CLASSES, WIDTH = 3, 64
SETTINGS = DetectorSettings(width=WIDTH, heads=4, denoising_queries=10, denoising_label_noise=0.5, denoising_box_noise=0.4, denoising_angle_noise=0.1)


def queries_for(counts: list[int], settings: DetectorSettings = SETTINGS, seed: int = 0) -> tuple[DenoisingQueries, nn.Embedding]:
    torch.manual_seed(0)
    embedding = nn.Embedding(CLASSES, WIDTH)
    made = make_denoising_queries(random_targets(counts), embedding, settings, generators(len(counts), seed))
    assert made is not None
    return made, embedding


@pytest.mark.parametrize(("counts", "groups"), [([2, 3], 3), ([0, 5], 2), ([12, 1], 1)])
def test_every_copy_knows_its_object(counts: list[int], groups: int) -> None:
    made, _ = queries_for(counts)
    targets, most = random_targets(counts), max(counts)
    assert made.groups == groups
    assert len(made) == groups * 2 * most
    expected = {
        (image, group * 2 * most + slot, targets.firsts[image] + slot) for group in range(groups) for image, n in enumerate(counts) for slot in range(n)
    }
    assert set(zip(made.positives.image.tolist(), made.positives.query.tolist(), made.positives.target.tolist(), strict=True)) == expected
    assert len(made.positives) == len(expected)
    for image, count in enumerate(counts):
        assert [bool(made.present[image, t]) for t in range(len(made))] == [t % most < count for t in range(len(made))]


def test_noise_of_positives_and_negatives() -> None:
    counts = [4, 4]
    made, embedding = queries_for(counts, SETTINGS.model_copy(update={"denoising_queries": 400}))
    targets = random_targets(counts)
    for image in range(2):
        for t in range(len(made)):
            negative, row = t // 4 % 2, targets.firsts[image] + t % 4
            box, noised = targets.boxes[row] * targets.scales[image], made.boxes[image, t] * targets.scales[image]
            shifts = [2 * ((noised[i] + sign * noised[i + 2] / 2) - (box[i] + sign * box[i + 2] / 2)) / box[i + 2] / 0.4 for i in (0, 1) for sign in (-1, 1)]
            if ((made.boxes[image, t] > 0) & (made.boxes[image, t] < 1)).all():
                assert all(negative - 1e-3 <= abs(float(s)) <= negative + 1 + 1e-3 for s in shifts)
            turn = (float(made.angles[image, t] - targets.angles[row]) + math.pi / 2) % math.pi - math.pi / 2
            assert negative - 1e-3 <= abs(turn) / (0.1 * math.pi / 2) <= negative + 1 + 1e-3
            assert (made.content[image, t] == embedding.weight).all(-1).any()
    assert made.angles.abs().max() <= math.pi / 2 + 1e-6


def test_share_of_flipped_labels() -> None:
    made, embedding = queries_for([4, 4], SETTINGS.model_copy(update={"denoising_queries": 4000}))
    targets = random_targets([4, 4])
    own = embedding(targets.pad(targets.labels)).repeat(1, made.groups * 2, 1)
    changed = (made.content != own).any(-1).float().mean()
    assert float(changed) == pytest.approx(0.5 * (1 - 1 / CLASSES), abs=0.02)


def test_mask_equals_a_loop() -> None:
    made, _ = queries_for([2, 3])
    queries, count, most = 4, len(made), 3
    mask = attention_mask(made, queries)
    for image in range(2):
        for row in range(count + queries):
            for column in range(count + queries):
                if column >= count:
                    expected = True
                elif row >= count:
                    expected = False
                else:
                    expected = row // (2 * most) == column // (2 * most) and bool(made.present[image, column])
                assert bool(mask[image, row, column]) == expected


def test_nothing_to_denoise() -> None:
    embedding = nn.Embedding(CLASSES, WIDTH)
    assert make_denoising_queries(random_targets([0, 0]), embedding, SETTINGS, generators(2)) is None
    assert make_denoising_queries(random_targets([2, 0]), embedding, SETTINGS.model_copy(update={"denoising_queries": 0}), generators(2)) is None


def test_noise_of_an_image_does_not_depend_on_the_others() -> None:
    both = queries_for([3, 3], SETTINGS.model_copy(update={"denoising_queries": 9}))[0]
    targets, own = random_targets([3, 3]), generators(2)
    alone = make_denoising_queries(random_targets([3]), nn.Embedding(CLASSES, WIDTH), SETTINGS.model_copy(update={"denoising_queries": 9}), own[:1])
    assert alone is not None
    assert torch.equal(targets.boxes[:3], random_targets([3]).boxes)
    assert torch.equal(both.boxes[:1], alone.boxes)
    assert torch.equal(both.angles[:1], alone.angles)


def test_same_generator_same_queries() -> None:
    first, second, other = queries_for([2, 3])[0], queries_for([2, 3])[0], queries_for([2, 3], seed=1)[0]
    assert torch.equal(first.boxes, second.boxes)
    assert not torch.equal(first.boxes, other.boxes)


def test_queries_without_an_object_are_no_background() -> None:
    counts = [3, 1]
    made, _ = queries_for(counts)
    logits, boxes, angles = random_outputs(2, len(counts), len(made))
    outputs, targets = LayerOutputs(logits, boxes, angles, states=logits), random_targets(counts)

    def losses_with(changed: torch.Tensor) -> dict[str, torch.Tensor]:
        return denoising_losses(replace(outputs, logits=torch.where(changed[..., None], 5.0, logits)), made, targets, SETTINGS)

    expected = losses_with(torch.zeros_like(made.present))
    torch.testing.assert_close(losses_with(~made.present), expected, rtol=0, atol=0)
    negative = torch.arange(len(made)) // max(counts) % 2 == 1
    assert losses_with(made.present & negative)["denoising0/class"] > expected["denoising0/class"] + 1
