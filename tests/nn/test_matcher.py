from itertools import permutations

import pytest
import torch
import torch.nn.functional as F
from drawn_objects import random_outputs, random_targets
from torchvision.ops import generalized_box_iou

from mutdet.nn.box_coding import to_corners
from mutdet.nn.matcher import match, pair_costs
from mutdet.settings.detectors import DetectorSettings

SETTINGS = DetectorSettings(class_cost=2, box_cost=3, giou_cost=5, angle_cost=7)


def naive_cost(logits, box, angle_logits, target_box, label, angle_label, weight, scale) -> float:
    p = logits[label].sigmoid()
    focal = -0.25 * (1 - p) ** 2 * p.log() + 0.75 * p**2 * (1 - p).log()
    distance = (box - target_box).abs().sum()  # both as centre and sides
    pixels = [to_corners(x * scale)[None] for x in (box, target_box)]
    entropy = F.binary_cross_entropy_with_logits(angle_logits, angle_label)
    return float(2 * focal + 3 * distance - 5 * generalized_box_iou(*pixels)[0, 0] + 7 * entropy * weight)


def test_costs_equal_a_loop_over_pairs() -> None:
    targets, outputs = random_targets([2, 3]), random_outputs(2, 2, 4)
    costs = pair_costs(*outputs, targets, SETTINGS)
    for layer in range(2):
        for image, (count, first) in enumerate(zip(targets.counts, targets.firsts, strict=True)):
            for query in range(4):
                for slot in range(count):
                    logits, box, angle = (x[layer, image, query] for x in outputs)
                    row = first + slot
                    object_ = (targets.boxes[row], targets.labels[row], targets.angle_labels[row], targets.angle_weights[row], targets.scales[image])
                    assert float(costs[layer, image, query, slot]) == pytest.approx(naive_cost(logits, box, angle, *object_), abs=1e-4)


@pytest.mark.parametrize("counts", [[3, 2], [0, 3], [6, 1]])
def test_matches_cost_least_of_all_permutations(counts: list[int]) -> None:
    targets, outputs, queries = random_targets(counts), random_outputs(2, 2, 4, seed=5), 4
    costs = pair_costs(*outputs, targets, SETTINGS)
    for layer, matches in enumerate(match([costs], targets)[0]):
        for image, (count, first) in enumerate(zip(targets.counts, targets.firsts, strict=True)):
            own = matches.image == image
            query, slot = matches.query[own], matches.target[own] - first
            assert len(query) == min(count, queries)
            assert len(set(query.tolist())) == len(set(slot.tolist())) == len(query)
            table = costs[layer, image, :, :count]
            table = table if count <= queries else table.T
            best = min(sum(float(table[q, s]) for s, q in enumerate(chosen)) for chosen in permutations(range(len(table)), min(count, queries)))
            assert float(costs[layer, image, query, slot].sum()) == pytest.approx(best, abs=1e-4)


def test_invalid_predictions_are_never_matched() -> None:
    targets, outputs = random_targets([3, 3]), random_outputs(1, 2, 6)
    valid = torch.tensor([[True, False, True, False, True, False], [False] * 5 + [True]])
    ((matches,),) = match([pair_costs(*outputs, targets, SETTINGS, valid)], targets)
    assert valid[matches.image, matches.query].all()
    assert torch.bincount(matches.image).tolist() == [3, 1]


def test_predictions_that_are_not_finite_do_not_crash() -> None:
    logits, boxes, angles = random_outputs(1, 2, 6)
    targets = random_targets([2, 2])
    ((matches,),) = match([pair_costs(logits * torch.nan, boxes, angles, targets, SETTINGS)], targets)
    assert len(matches) == 0


@pytest.mark.parametrize("threads", [1, 3])
def test_tables_solved_together_are_those_solved_alone(threads: int) -> None:
    targets = random_targets([0, 5])
    tables = [pair_costs(*random_outputs(layers, 2, queries, seed=queries), targets, SETTINGS) for layers, queries in ((1, 30), (3, 4))]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        together = match(tables, targets)
    finally:
        torch.set_num_threads(before)
    assert [len(part) for part in together] == [1, 3]
    for table, found in zip(tables, together, strict=True):
        for layer, matches in zip(table, found, strict=True):
            ((alone,),) = match([layer[None]], targets)
            assert all(torch.equal(getattr(matches, name), getattr(alone, name)) for name in ("image", "query", "target"))
            assert len(alone) > 0
