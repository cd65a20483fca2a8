"""DETReg's targets and terms."""

import pytest
import torch
from drawn_tables import TINY
from generators import generators
from pseudo_batch import CLASSES, SIDE, noise_images, pseudo_objects

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.detectors.types import Targets
from mutdet.pretraining.detreg import DetReg, boxes_of_another_tile, own_boxes
from mutdet.pretraining.patches import augmented_patches
from mutdet.settings.pretraining.detreg import DetRegPretrainSettings


def _method(**options) -> DetReg:
    torch.manual_seed(0)
    settings = DetRegPretrainSettings(architecture=TINY, iterations=1, **options)
    return DetReg(ArsDetr(TINY, 1), settings).train()


def _losses(method, targets):
    return method.losses(*noise_images(len(targets)), targets, generators(len(targets), 2))


def test_one_class_whatever_the_clusters():
    assert DetReg.categories(CLASSES) == ["object"]
    one = _losses(_method(), [pseudo_objects(3), pseudo_objects(2, 1)])
    relabelled = [Targets(t.boxes, (t.labels + 1) % CLASSES, t.embeddings) for t in (pseudo_objects(3), pseudo_objects(2, 1))]
    other = _losses(_method(), relabelled)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_terms_are_those_of_the_detector_and_two_of_embeddings():
    names = set(_losses(_method(), [pseudo_objects(3)]))
    assert {name for name in names if name.startswith("embedding")} == {"embedding_decoder", "embedding_denoising"}
    assert {"encoder/class", "decoder1/angle", "denoising1/box"} <= names


def _naive(method, targets, norm):
    """Distances of the matched states of the last layer, pair by pair."""
    done = method.detector.train_pass(*noise_images(len(targets)), own_boxes(targets, torch.full((2, 2), SIDE)), generators(2, 2))
    vectors = [vector for part in targets for vector in part.embeddings]
    total, matches = 0.0, done.detection.decoder[-1]
    for image, query, target in zip(matches.image.tolist(), matches.query.tolist(), matches.target.tolist(), strict=True):
        difference = (method.embedding(done.decoded.matching.states[-1, image, query]) - vectors[target]).tolist()
        total += sum(abs(x) for x in difference) / TINY.width if norm == "l1" else sum(x * x for x in difference)
    return total / len(matches)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_distance_of_matched_states(norm):
    method, targets = _method(distance=norm, embedding_weight=3.0), [pseudo_objects(3), pseudo_objects(2, 1)]
    with torch.no_grad():
        assert _losses(method, targets)["embedding_decoder"].item() == pytest.approx(3 * _naive(method, targets, norm), rel=1e-4)


@pytest.mark.parametrize(("stride", "level"), [(8, 0), (32, 2)])
def test_features_of_patches_are_targets(stride, level):
    method = _method(target="features", feature_stride=stride, distance="l1", patch_size=32)
    assert method.embedding[-1].out_features == method.detector.backbone.channels[level]
    (images, sizes), objects = noise_images(2), [pseudo_objects(3), pseudo_objects(2, 1)]
    wanted = method._wanted(images, sizes, objects, generators(2))
    patches = augmented_patches(images, sizes, [t.boxes for t in objects], method._settings, generators(2))
    with torch.no_grad():
        expected = [method.detector.backbone(patch[None])[level].mean(dim=(0, 2, 3)) for patch in patches]
    # Convolutions of one patch and of five add up in another order.
    torch.testing.assert_close(wanted, torch.stack(expected), rtol=1e-4, atol=1e-4)
    assert not wanted.requires_grad


def test_features_need_no_embeddings():
    method = _method(target="features", distance="l1", patch_size=32)
    targets = [Targets(t.boxes, t.labels) for t in (pseudo_objects(3), pseudo_objects(0, 1))]
    assert _losses(method, targets)["embedding_decoder"] > 0
    assert not method._settings.uses_embeddings
    assert _method()._settings.uses_embeddings


def test_boxes_of_another_tile_are_those_of_the_one_before_that_lie_inside():
    first, second = pseudo_objects(4), pseudo_objects(3, 1)
    sizes = torch.tensor([[SIDE, SIDE], [40, 50]])
    one, two = boxes_of_another_tile([first, second], sizes)
    assert torch.equal(one.boxes, second.boxes)
    expected = [box for box in first.boxes.tolist() if box[0] < 50 and box[1] < 40]
    assert two.boxes.tolist() == expected
    assert 0 < len(expected) < 4
    assert one.embeddings is None
    assert not one.labels.any()


def test_boxes_of_another_tile_are_what_is_searched_and_cut_out(monkeypatch):
    method = _method(boxes="another_tile", target="features", patch_size=32)
    searched, cut = [], []
    train_pass = method.detector.train_pass
    monkeypatch.setattr(method.detector, "train_pass", lambda images, sizes, objects, own: searched.extend(objects) or train_pass(images, sizes, objects, own))
    monkeypatch.setattr("mutdet.pretraining.detreg.augmented_patches", lambda *given: cut.extend(given[2]) or augmented_patches(*given))
    targets = [pseudo_objects(3), pseudo_objects(2, 1)]
    _losses(method, targets)
    expected = [other.boxes.tolist() for other in targets[::-1]]
    assert [t.boxes.tolist() for t in searched] == expected
    assert [boxes.tolist() for boxes in cut] == expected


@pytest.mark.parametrize("options", [{}, {"target": "features", "batch": 1}, {"target": "features", "batch": 4, "processes": 2, "accumulate": 2}])
def test_boxes_of_another_tile_need_features_and_another_tile(options):
    with pytest.raises(ValueError, match="another_tile"):
        DetRegPretrainSettings(boxes="another_tile", **options)


@pytest.mark.parametrize(("limit", "most"), [(None, 12), (5, 5), (50, 12)])
def test_no_more_boxes_than_queries(limit, most):
    assert DetRegPretrainSettings(architecture=TINY, boxes_per_tile=limit).most_boxes == most
