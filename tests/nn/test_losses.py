import pytest
import torch
import torch.nn.functional as F
from drawn_objects import random_outputs, random_targets
from torchvision.ops import generalized_box_iou_loss

from mutdet.nn.box_coding import to_corners
from mutdet.nn.losses import Predictions, layer_losses
from mutdet.nn.matcher import Matches, match, pair_costs
from mutdet.settings.detectors import DetectorSettings

SETTINGS = DetectorSettings(class_weight=2, box_weight=3, giou_weight=5, angle_weight=7)


def naive_losses(logits, boxes, angles, matches, targets, counted) -> dict[str, float]:
    """One layer, pair by pair and logit by logit."""
    pairs = list(zip(matches.image.tolist(), matches.query.tolist(), matches.target.tolist(), strict=True))
    positives = max(1, len(pairs))
    wanted = {(image, query): int(targets.labels[target]) for image, query, target in pairs}
    focal = box = giou = angle = 0.0
    for image in range(logits.shape[0]):
        for query in range(logits.shape[1]):
            for label, logit in enumerate(logits[image, query]):
                p, positive = float(logit.sigmoid()), wanted.get((image, query)) == label
                share = 0.25 * (1 - p) ** 2 * -torch.tensor(p).log() if positive else 0.75 * p**2 * -torch.tensor(1 - p).log()
                focal += float(share) * bool(counted[image, query])
    for image, query, target in pairs:
        box += float((boxes[image, query] - targets.boxes[target]).abs().sum())
        a, b = (to_corners(x * targets.scales[image]) for x in (boxes[image, query], targets.boxes[target]))
        giou += float(generalized_box_iou_loss(a, b))
        entropy = F.binary_cross_entropy_with_logits(angles[image, query], targets.angle_labels[target], reduction="sum")
        angle += float(entropy * targets.angle_weights[target]) / 180
    return {"class": 2 * focal / positives, "box": 3 * box / positives, "giou": 5 * giou / positives, "angle": 7 * angle / positives}


@pytest.mark.parametrize("counts", [[3, 2], [0, 4], [0, 0]])
def test_losses_equal_a_loop(counts: list[int]) -> None:
    targets, outputs = random_targets(counts), random_outputs(3, 2, 5)
    counted = torch.ones(2, 5, dtype=torch.bool)
    counted[0, 4] = False
    (matches,) = match([pair_costs(*outputs, targets, SETTINGS, counted)], targets)
    losses = layer_losses(Predictions(*outputs, counted), matches, targets, SETTINGS)
    for layer in range(3):
        expected = naive_losses(*(x[layer] for x in outputs), matches[layer], targets, counted)
        assert {name: float(value[layer]) for name, value in losses.items()} == pytest.approx(expected, abs=1e-4)


def test_elongated_objects_weigh_more() -> None:
    targets = random_targets([4, 4])
    ratio = targets.boxes[:, 2] / targets.boxes[:, 3]
    torch.testing.assert_close(targets.angle_weights, 2 * ratio / (ratio + 1))


def test_no_object_still_has_a_gradient() -> None:
    targets = random_targets([0, 0])
    logits, boxes, angles = (x.requires_grad_() for x in random_outputs(1, 2, 5))
    nobody = Matches(*(torch.zeros(0, dtype=torch.int64) for _ in range(3)))
    sum(layer_losses(Predictions(logits, boxes, angles), [nobody], targets, SETTINGS).values()).sum().backward()
    assert logits.grad.abs().sum() > 0
    assert boxes.grad.abs().sum() == angles.grad.abs().sum() == 0
