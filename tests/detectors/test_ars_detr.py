import math

import pytest
import torch
from drawn_objects import random_objects
from generators import generators
from torch import Tensor

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.detectors.selection import select_pairs
from mutdet.detectors.types import DetectionLosses, Targets
from mutdet.settings.detectors import DetectorSettings

SMALL = DetectorSettings(
    backbone="resnet18", width=32, heads=4, points=2, feed_forward=64, encoder_layers=2, decoder_layers=2, queries=20, dropout=0.0, denoising_queries=12
)
CLASSES = 3
SIZES = torch.tensor([[96, 160], [128, 128]])


@pytest.fixture
def model() -> ArsDetr:
    torch.manual_seed(0)
    model = ArsDetr(SMALL, CLASSES)
    sampling = [p for n, p in model.named_parameters() if "sampling_offsets.weight" in n or "attention_weights.weight" in n]
    for parameter in [*model.encoder_head.parameters(), *model.heads.parameters(), *sampling]:
        torch.nn.init.normal_(parameter, std=0.3)  # so that boxes, angles, ranks and sampling differ
    return model


def padded_images(sizes: Tensor = SIZES) -> Tensor:
    images = torch.zeros(len(sizes), 3, *sizes.amax(0).tolist())
    for image, (height, width) in zip(images, sizes.tolist(), strict=True):
        image[:, :height, :width] = torch.randn(3, height, width, generator=torch.Generator().manual_seed(height))
    return images


def targets_of(counts: list[int]) -> list[Targets]:
    return [Targets(boxes, labels) for boxes, labels in zip(*random_objects(counts, classes=CLASSES), strict=True)]


def step(model: ArsDetr, images: Tensor, sizes: Tensor, targets: list[Targets]) -> DetectionLosses:
    encoded = model.encode(images, sizes)
    proposals = model.propose(encoded, model.project_memory(encoded))
    denoising = model.denoise(targets, encoded.sizes, generators(len(targets)))
    return model.losses(proposals, model.decode(encoded, proposals, denoising), denoising, targets, encoded.sizes, "a/")


@torch.no_grad()
def test_batch_equals_each_image_alone(model: ArsDetr) -> None:
    model.eval()
    images = padded_images()
    together = model.predict(images, SIZES, 40)
    for number, (height, width) in enumerate(SIZES.tolist()):
        (alone,) = model.predict(images[number : number + 1, :, :height, :width], top=40)
        torch.testing.assert_close(together[number].scores, alone.scores, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(together[number].boxes, alone.boxes, atol=1e-2, rtol=1e-4)
        assert torch.equal(together[number].labels, alone.labels)


def test_losses_of_a_batch_are_those_of_its_images(model: ArsDetr) -> None:
    """Without denoising, whose number of queries depends on the batch; sums over images are weighted by their matches."""
    images, targets = padded_images(), targets_of([4, 2])

    def losses(rows: list[int]) -> DetectionLosses:
        height, width = SIZES[rows].amax(0).tolist()
        encoded, proposals, decoded = model(images[rows, :, :height, :width], SIZES[rows])
        return model.losses(proposals, decoded, None, [targets[row] for row in rows], encoded.sizes)

    both, first, second = losses([0, 1]), losses([0]), losses([1])
    for name, value in both.values.items():
        torch.testing.assert_close(value * 6, first.values[name] * 4 + second.values[name] * 2, atol=1e-3, rtol=1e-3)


def test_gradient_is_finite_and_reaches_every_parameter(model: ArsDetr) -> None:
    model.train()
    losses = step(model, padded_images(), SIZES, targets_of([5, 3]))
    sum(losses.values.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
    untouched = [name for name, parameter in model.named_parameters() if not parameter.grad.any()]
    assert untouched == []


def test_boxes_look_forward_twice() -> None:
    """A layer's boxes train its own box head and, through the undetached reference, the one before it, but no earlier one."""
    torch.manual_seed(0)
    model = ArsDetr(SMALL.model_copy(update={"decoder_layers": 3}), CLASSES)
    _, _, decoded = model(padded_images(), SIZES)
    reached = []
    for boxes in decoded.matching.boxes:
        gradients = torch.autograd.grad(boxes.square().sum(), [head.box[-1].bias for head in model.heads], retain_graph=True, allow_unused=True)
        reached.append([gradient is not None and bool(gradient.any()) for gradient in gradients])
    assert reached == [[True, False, False], [True, True, False], [False, True, True]]


def test_names_and_matches_of_losses(model: ArsDetr) -> None:
    losses = step(model, padded_images(), SIZES, targets_of([5, 3]))
    parts = ("encoder", "decoder0", "decoder1", "denoising0", "denoising1")
    assert set(losses.values) == {f"a/{part}/{term}" for part in parts for term in ("class", "box", "giou", "angle")}
    assert [sorted(m.target.tolist()) for m in losses.decoder] == [list(range(8))] * 2
    assert losses.denoising is not None
    assert torch.bincount(losses.denoising.target).tolist() == [12 // 5] * 8
    assert (losses.denoising.image == (losses.denoising.target >= 5)).all()


@pytest.mark.parametrize("counts", [[0, 0], [0, 3], [1, 0], [200, 1000]])
def test_any_number_of_objects(model: ArsDetr, counts: list[int]) -> None:
    losses = step(model, padded_images(), SIZES, targets_of(counts))
    total = sum(losses.values.values())
    total.backward()
    assert torch.isfinite(total)
    assert all(len(m) == sum(min(count, SMALL.queries) for count in counts) for m in losses.decoder)
    assert (losses.denoising is None) == (sum(counts) == 0)


@torch.no_grad()
def test_tiny_image_beside_a_large_one(model: ArsDetr) -> None:
    """An image with fewer tokens than queries gives all queries, whatever it is batched with."""
    sizes = torch.tensor([[128, 128], [16, 16]])
    images = padded_images(sizes)
    model.eval()
    _, proposals, _ = model(images, sizes)
    assert proposals.chosen[0].all()
    assert int(proposals.chosen[1].sum()) == int(proposals.valid[1].sum()) < SMALL.queries
    (alone,) = model.predict(images[1:, :, :16, :16], top=60)
    torch.testing.assert_close(model.predict(images, sizes, 60)[1].scores, alone.scores, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_denoising_queries_do_not_disturb_the_others(model: ArsDetr) -> None:
    model.eval()
    images, targets = padded_images(), targets_of([5, 3])
    encoded, proposals, plain = model(images, SIZES)
    denoising = model.denoise(targets, encoded.sizes, generators(len(targets)))
    both = model.decode(encoded, proposals, denoising)
    torch.testing.assert_close(both.matching.logits, plain.matching.logits, atol=1e-4, rtol=1e-4)
    assert both.denoising is not None
    assert both.denoising.states.shape == (2, 2, len(denoising), SMALL.width)


@torch.no_grad()
def test_ranking_of_proposals_is_the_callers(model: ArsDetr) -> None:
    encoded = model.encode(padded_images(), SIZES)
    tokens = model.project_memory(encoded)
    scores = torch.rand(encoded.valid.shape, generator=torch.Generator().manual_seed(3))
    chosen = model.propose(encoded, tokens, scores).tokens
    for image in range(2):
        ranked = sorted(torch.nonzero(encoded.valid[image]).flatten().tolist(), key=lambda token: -float(scores[image, token]))
        assert chosen[image].tolist() == ranked[: SMALL.queries]
    default = model.propose(encoded, tokens)
    assert torch.equal(default.tokens, model.propose(encoded, tokens, model.objectness(tokens)).tokens)


@torch.no_grad()
def test_detections(model: ArsDetr) -> None:
    model.eval()
    images = padded_images()
    encoded, _, decoded = model(images, SIZES)
    boxes, scores, labels = select_pairs(decoded.matching, encoded.sizes, 10, model.coding)
    everything = decoded.matching.logits[-1].sigmoid()
    for image, found in enumerate(model.predict(images, SIZES, 10)):
        torch.testing.assert_close(found.scores, everything[image].flatten().sort(descending=True)[0][:10])
        assert (found.boxes[:, 2] >= found.boxes[:, 3]).all()
        assert (found.boxes[:, 4].abs() <= math.pi / 2).all()
        height, width = SIZES[image].tolist()
        query = int((everything[image, :, labels[image, 0]] - scores[image, 0]).abs().argmin())
        scale = torch.tensor([width, height, max(height, width), max(height, width)])
        torch.testing.assert_close(boxes[image, 0, :4], decoded.matching.boxes[-1, image, query] * scale)
    assert len(model.predict(images, SIZES, 10_000)[0].scores) == SMALL.queries * CLASSES


def test_groups_of_parameters(model: ArsDetr) -> None:
    names = [name for name, _ in model.named_parameters()]
    slow = set(model.slow_parameters())
    assert slow == {n for n in names if n.startswith("backbone.") or "sampling_offsets" in n}
    kept = set(model.shared_state())
    assert set(model.state_dict()) - kept == {"denoising_labels.weight", *(f"heads.{i}.classes.{f}" for i in range(2) for f in ("weight", "bias"))}
    model.train_backbone("nothing")
    assert not any(p.requires_grad for n, p in model.named_parameters() if n.startswith("backbone."))
