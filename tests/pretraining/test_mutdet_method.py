"""MutDet's wiring on a tiny detector."""

import inspect
from dataclasses import replace

import pytest
import torch
from drawn_tables import TINY
from generators import generators
from pseudo_batch import SIDE, pseudo_objects

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.detectors.types import Targets
from mutdet.pretraining.contrast import contrastive_alignment
from mutdet.pretraining.mutdet import MutDet
from mutdet.settings.pretraining.mutdet import MutdetPretrainSettings

SETTINGS = MutdetPretrainSettings(architecture=TINY, iterations=1, enhancement_layers=2, enhancement_width=48, embedding_width=40)


@pytest.fixture(scope="module")
def method() -> MutDet:
    torch.manual_seed(0)
    method = MutDet(ArsDetr(TINY, 7), SETTINGS)
    method.train()
    return method


def _losses(method, targets):
    images = torch.randn(len(targets), 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    sizes = torch.full((len(targets), 2), SIDE)
    return method.losses(images, sizes, targets, generators(len(targets), 2))


def test_both_branches_have_every_detection_loss_and_five_alignments(method):
    names = set(_losses(method, [pseudo_objects(3), pseudo_objects(2, 1)]))
    auxiliary = {name.removeprefix("auxiliary/") for name in names if name.startswith("auxiliary/")}
    enhanced = {name.removeprefix("enhanced/") for name in names if name.startswith("enhanced/")}
    assert enhanced - auxiliary == {"align_encoder"}
    parts = ["encoder", *(f"{part}{layer}" for part in ("decoder", "denoising") for layer in range(TINY.decoder_layers))]
    expected = {f"{part}/{term}" for part in parts for term in ("class", "box", "giou", "angle")}
    assert auxiliary == expected | {"align_decoder", "align_denoising"}
    assert len(names) == len(auxiliary) + len(enhanced)


def test_embeddings_reach_the_enhanced_branch_only(method):
    first, other = pseudo_objects(4), pseudo_objects(4, 9)
    before, after = (_losses(method, [first]), _losses(method, [replace(first, embeddings=other.embeddings)]))
    detection = [name for name in before if "align" not in name]
    changed = {name for name in detection if not torch.equal(before[name], after[name])}
    assert not {name for name in changed if name.startswith("auxiliary/")}
    assert {"enhanced/encoder/class", "enhanced/decoder1/box", "enhanced/denoising1/class"} <= changed


@pytest.mark.parametrize("counts", [[0, 0], [1, 0], [0, 3], [1], [1000]])
def test_losses_and_gradients_are_finite(method, counts):
    method.zero_grad(set_to_none=True)
    total = sum(_losses(method, [pseudo_objects(count, count) for count in counts]).values())
    total.backward()
    assert torch.isfinite(total)
    assert all(torch.isfinite(p.grad).all() for p in method.parameters() if p.grad is not None)


def test_everything_but_the_backbone_learns(method):
    method.zero_grad(set_to_none=True)
    sum(_losses(method, [pseudo_objects(3), pseudo_objects(2, 1)]).values()).backward()
    without = {name for name, p in method.named_parameters() if p.grad is None}
    assert without == {name for name, _ in method.named_parameters() if name.startswith("detector.backbone.")}
    assert not any(layer.training for layer in method.detector.backbone.modules() if isinstance(layer, torch.nn.BatchNorm2d))


def test_alignment_trains_the_embeddings_aspseudo_objects(method):
    """The enhanced embeddings are not detached: the module's own weights get a gradient from the auxiliary branch alone."""
    losses = _losses(method, [pseudo_objects(3)])
    weight = method.enhancement.layers.layers[-1].feed_forward.contract.weight
    (gradient,) = torch.autograd.grad(losses["auxiliary/align_decoder"], weight)
    assert gradient.abs().sum() > 0


def test_denoising_alignment_pairs_each_copy_with_its_own_object(method, monkeypatch):
    """Two images, several groups: the released code paired the first image's repeats instead (docs/method.md E 5)."""
    seen = []

    def spy(predictions, objects, target):
        seen.append((len(predictions), len(objects), target.tolist()))
        return contrastive_alignment(predictions, objects, target, 0.2)

    monkeypatch.setattr(method, "_distance", spy)
    _losses(method, [pseudo_objects(2), pseudo_objects(1, 1)])
    groups = TINY.denoising_queries // 2
    denoising = [entry for entry in seen if entry[0] == 3 * groups]
    assert len(seen) == 5
    assert len(denoising) == 2
    assert all(entry == (3 * groups, 3, [0, 1, 2] * groups) for entry in denoising)


def test_objects_of_one_image_do_not_reach_another(method):
    alone = _losses(method, [pseudo_objects(3)])["enhanced/decoder1/box"]
    images = torch.randn(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    method.eval()
    with torch.no_grad():
        encoded = method.detector.encode(images.repeat(2, 1, 1, 1))
        one = method.enhancement(method.detector, encoded, [pseudo_objects(3).embeddings, pseudo_objects(5, 4).embeddings]).tokens
        other = method.enhancement(method.detector, encoded, [pseudo_objects(3).embeddings, pseudo_objects(2, 5).embeddings]).tokens
    method.train()
    torch.testing.assert_close(one[0], other[0])
    assert not torch.allclose(one[1], other[1])
    assert torch.isfinite(alone)


def test_likeness_raises_the_rank_of_a_proposal(method):
    """With the released code's raw logit it lowered it wherever the logit is negative (docs/method.md E 4)."""
    features = torch.randn(2, 10, TINY.width)
    tokens = torch.randn(2, 10, TINY.width)
    objects = torch.cat([tokens[0, 3:4], torch.zeros(0, TINY.width)])
    targets = [pseudo_objects(1), pseudo_objects(0)]
    plain = method.detector.objectness(features).sigmoid()
    scores = method._proposal_scores(features, tokens, objects, targets)
    assert (plain < 0.5).all()
    assert (scores >= 0).all()
    share = scores[0] / plain[0]
    assert share.argmax() == 3
    assert share[3].item() == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(scores[1], plain[1])


def test_no_true_label_is_among_the_inputs():
    fields = set(inspect.signature(MutDet.losses).parameters) | set(Targets.__dataclass_fields__)
    assert fields == {"self", "images", "sizes", "targets", "generators", "boxes", "labels", "embeddings"}
