"""AlignDet's wiring: identity of boxes, the averaged detector."""

import math

import pytest
import torch
from drawn_tables import TINY, draw_tables
from generators import generators
from pseudo_batch import CLASSES, noise_images, pseudo_objects

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.nn.matcher import Matches
from mutdet.pretraining.aligndet import AlignDet, instance_ids
from mutdet.pretraining.box_contrast import box_contrast
from mutdet.pretraining.views import draw_view
from mutdet.settings.base import Runtime
from mutdet.settings.pretrain import PretrainFiles
from mutdet.settings.pretraining.aligndet import AlignDetPretrainSettings
from mutdet.stages import pretrain

TARGETS = [pseudo_objects(3), pseudo_objects(2, 1)]


def _method(**options) -> AlignDet:
    torch.manual_seed(0)
    settings = AlignDetPretrainSettings(architecture=TINY, iterations=1, projection=16, **options)
    return AlignDet(ArsDetr(TINY, CLASSES), settings).train()


def test_instances_are_unique_over_the_batch():
    matches = Matches(torch.tensor([0, 0, 1]), torch.tensor([2, 0, 1]), torch.tensor([1, 0, 2]))
    assert instance_ids(torch.zeros(2, 3, 4), matches).tolist() == [0, -1, 1, -1, 2, -1]


@torch.no_grad()
def test_terms_by_hand():
    """The detector sees the first view and the average the second; vectors of the average go through its own projections."""
    method = _method(contrast_weight=2.0)
    for parameter in _following(method):
        parameter.add_(0.05 * torch.randn_like(parameter))
    images, sizes = noise_images(2)
    found = method.losses(images, sizes, TARGETS, generators(2, 2))
    own = generators(2, 2)
    first, second = (draw_view(images, sizes, TARGETS, method._settings, own) for _ in range(2))
    assert not torch.equal(first.sizes, second.sizes)
    done = method.detector.train_pass(first.images, first.sizes, first.targets, own)
    _, proposals, decoded = method.average(second.images, second.sizes)
    matches = method.average.losses(proposals, decoded, None, second.targets, second.sizes).decoder
    for layer in range(TINY.decoder_layers):
        online = method.projections[layer](done.decoded.matching.states[layer]).flatten(0, 1)
        average = method.average_projections[layer](decoded.matching.states[layer]).flatten(0, 1)
        expected = 2 * box_contrast(online, _ids(done.detection.decoder[layer]), average, _ids(matches[layer]), 0.5)
        assert found[f"contrast{layer}"].item() == pytest.approx(expected.item(), rel=1e-5)  # the same sums, up to rounding
    assert {name for name in found if "contrast" in name} == {"contrast0", "contrast1"}
    assert "denoising1/class" in found


def _ids(matches: Matches) -> torch.Tensor:
    ids = torch.full((2, TINY.queries), -1)
    for image, query, target in zip(matches.image.tolist(), matches.query.tolist(), matches.target.tolist(), strict=True):
        ids[image, query] = target
    return ids.flatten()


def _following(method: AlignDet) -> list[torch.nn.Parameter]:
    """Averages of the detector's weights, without what both share, and of those of the projections."""
    own = [p for n, p in method.average.named_parameters() if not n.startswith("backbone.") and n != "query_content"]
    return [*own, *method.average_projections.parameters()]


def test_at_first_the_average_is_the_detector():
    method = _method()
    for network, average in ((method.detector, method.average), (method.projections, method.average_projections)):
        own = network.state_dict()
        assert all(torch.equal(value, own[name]) for name, value in average.state_dict().items())


def test_average_follows_in_closed_form():
    """With a parameter that stands at 1, an average that began at 0 is 1 less the product of what was kept."""
    method = _method(momentum=0.9)
    with torch.no_grad():
        for parameter in [*method.detector.parameters(), *method.projections.parameters()]:
            parameter.fill_(1.0)
        for parameter in _following(method):
            parameter.zero_()
    kept = 1.0
    for step in range(1, 11):
        method.after_step(step / 10)
        kept *= 1 - (1 - 0.9) * (math.cos(math.pi * step / 10) + 1) / 2
    assert 0.5 < kept < 0.7
    for parameter in _following(method):
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


def test_the_stage_moves_the_average_after_each_step(tmp_path):
    """Of momentum 0.5 three quarters are kept after the first of two steps, and all after the second: the average is still between start and first step."""
    drawn = draw_tables(tmp_path, 2)
    training = {"iterations": 2, "batch": 2, "image_size": 96, "threads": 1, "learning_rate": 1e-2, "checkpoint_minutes": 1e-9}
    settings = AlignDetPretrainSettings(architecture=TINY, projection=16, momentum=0.5, **training)
    places = {"output": tmp_path / "detector.safetensors", "log": tmp_path / "log.parquet", "state": tmp_path / "state"}
    files = PretrainFiles(tiles=drawn.tiles, pseudo_labels=drawn.pseudo_labels, backbone=drawn.backbone, **places)
    pretrain.run(files, settings, Runtime(device="cpu", workers=0))
    start = pretrain._build(files, settings, AlignDet, AlignDet.categories(2)).state_dict()
    first, last = (torch.load(path, weights_only=True)["model"] for path in sorted((tmp_path / "state").glob("*/checkpoint-*.pt")))
    own = [name for name in last if name.startswith("average") and not name.startswith(("average.backbone.", "average.query_content"))]
    for name in own:
        trained = name.replace("average_projections", "projections").replace("average.", "detector.")
        torch.testing.assert_close(last[name], 0.75 * start[trained] + 0.25 * first[trained])
    for name in ("average.token_projection.linear.weight", "average_projections.0.0.weight"):
        assert not torch.allclose(last[name], start[name])


def test_clusters_are_classes():
    assert AlignDet.categories(3) == ["cluster_0", "cluster_1", "cluster_2"]


def test_boxes_are_limited():
    assert AlignDetPretrainSettings().most_boxes == 50
    assert not AlignDetPretrainSettings().uses_embeddings
