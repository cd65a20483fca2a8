"""AlignDet's wiring: identity of boxes, the averaged detector."""

import math

import pytest
import torch
from drawn_tables import TINY
from generators import generators
from pseudo_batch import CLASSES, noise_images, pseudo_objects

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.nn.matcher import Matches
from mutdet.pretraining.aligndet import AlignDet, instance_ids
from mutdet.pretraining.box_contrast import box_contrast
from mutdet.settings.pretraining.aligndet import AlignDetPretrainSettings

TARGETS = [pseudo_objects(3), pseudo_objects(2, 1)]
STILL = {"view_scales": [1.0], "operations": ["identity"], "flip_horizontal": 0.0, "flip_vertical": 0.0, "flip_diagonal": 0.0}


def _method(**options) -> AlignDet:
    torch.manual_seed(0)
    settings = AlignDetPretrainSettings(architecture=TINY, iterations=1, projection=16, **options)
    return AlignDet(ArsDetr(TINY, CLASSES), settings).train()


def test_instances_are_unique_over_the_batch():
    matches = Matches(torch.tensor([0, 0, 1]), torch.tensor([2, 0, 1]), torch.tensor([1, 0, 2]))
    assert instance_ids(torch.zeros(2, 3, 4), matches).tolist() == [0, -1, 1, -1, 2, -1]


@torch.no_grad()
def test_terms_of_equal_views_by_hand():
    """Without any change both views are one, and at first the average is the detector itself."""
    method = _method(**STILL, contrast_weight=2.0)
    images, sizes = noise_images(2)
    images = ((images * 30 + 110).round() - 110) / 30
    found = method.losses(images, sizes, TARGETS, generators(2, 2))
    view = method.losses.__globals__["draw_view"](images, sizes, TARGETS, method._settings, generators(2))
    done = method.detector.train_pass(view.images, view.sizes, view.targets, generators(2))
    for layer, matches in enumerate(done.detection.decoder):
        states = done.decoded.matching.states[layer]
        ids = torch.full((2, TINY.queries), -1)
        for image, query, target in zip(matches.image.tolist(), matches.query.tolist(), matches.target.tolist(), strict=True):
            ids[image, query] = target
        z = method.projections[layer](states).flatten(0, 1)
        assert found[f"contrast{layer}"].item() == pytest.approx(2 * box_contrast(z, ids.flatten(), z, ids.flatten(), 0.5).item(), rel=1e-4)
    assert {name for name in found if "contrast" in name} == {"contrast0", "contrast1"}
    assert "denoising1/class" in found


def test_average_follows_in_closed_form():
    """With a parameter that stands at 1, an average that began at 0 is 1 less the product of what was kept."""
    method = _method(momentum=0.9)
    with torch.no_grad():
        for parameter in [*method.detector.parameters(), *method.projections.parameters()]:
            parameter.fill_(1.0)
        moved = {n: p for n, p in method.average.named_parameters() if not n.startswith("backbone.") and n != "query_content"}
        for parameter in [*moved.values(), *method.average_projections.parameters()]:
            parameter.zero_()
    kept = 1.0
    for step in range(1, 11):
        method.after_step(step / 10)
        kept *= 1 - (1 - 0.9) * (math.cos(math.pi * step / 10) + 1) / 2
    assert 0.5 < kept < 0.7
    for parameter in [*moved.values(), *method.average_projections.parameters()]:
        torch.testing.assert_close(parameter, torch.full_like(parameter, 1 - kept))


def test_backbone_and_query_table_are_shared_and_everything_else_is_not():
    method = _method()
    before = method.detector.backbone.conv1.weight.clone()
    own = {id(p): n for n, p in method.detector.named_parameters()}
    shared = {own[id(p)] for p in method.average.parameters() if id(p) in own}
    assert shared == {"query_content", *(n for n in own.values() if n.startswith("backbone."))}
    for step in range(3):
        method.after_step(step / 3)
    assert torch.equal(method.detector.backbone.conv1.weight, before)


def test_the_average_takes_no_gradient_and_is_in_the_state():
    method = _method()
    sum(method.losses(*noise_images(2), TARGETS, generators(2, 2)).values()).backward()
    assert all(p.grad is None for n, p in method.named_parameters() if n.startswith("average"))
    state = method.state_dict()
    with torch.no_grad():
        method.average.level_embedding.add_(1.0)
    other = _method()
    other.load_state_dict(method.state_dict())
    assert torch.equal(other.average.level_embedding, method.average.level_embedding)
    assert "average_projections.0.0.weight" in state


def test_clusters_are_classes():
    assert AlignDet.categories(3) == ["cluster_0", "cluster_1", "cluster_2"]


def test_boxes_are_limited():
    assert AlignDetPretrainSettings().most_boxes == 50
    assert not AlignDetPretrainSettings().uses_embeddings
