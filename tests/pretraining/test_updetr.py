"""UP-DETR: groups, their attention, patches and reconstruction."""

from dataclasses import replace

import pytest
import torch
from drawn_tables import TINY
from generators import generators
from pseudo_batch import SIDE, noise_images, pseudo_objects
from torch.nn.functional import normalize

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.geometry.rotated_boxes_torch import corners
from mutdet.pretraining.patches import augmented_patches, pooled_features
from mutdet.pretraining.updetr import UpDetr, group_mask, query_groups, random_patches
from mutdet.settings.pretraining.updetr import UpDetrPretrainSettings


def _method(queries: int = 12, **options) -> UpDetr:
    torch.manual_seed(0)
    architecture = TINY.model_copy(update={"queries": queries})
    settings = UpDetrPretrainSettings(architecture=architecture, iterations=1, **{"patches": 5, "patch_size": 32, **options})
    detector = ArsDetr(architecture, 1)
    for parameter in [*detector.encoder_head.parameters(), *detector.heads.parameters()]:
        torch.nn.init.normal_(parameter, std=0.3)
    return UpDetr(detector, settings).train()


@pytest.mark.parametrize(("queries", "patches"), [(100, 10), (12, 5), (12, 12), (7, 3), (9, 1), (60, 10)])
def test_groups_share_the_queries_whatever_their_numbers(queries, patches):
    groups = query_groups(queries, patches)
    sizes = torch.bincount(groups, minlength=patches).tolist()
    assert sum(sizes) == queries
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1
    mask = group_mask(groups)[0]
    assert mask.sum().item() == sum(size * size for size in sizes)
    assert all(mask[i, j] == (groups[i] == groups[j]) for i in range(queries) for j in range(queries))


@pytest.mark.parametrize(("queries", "patches"), [(12, 5), (12, 3), (16, 4), (7, 7)])
@torch.no_grad()
def test_masked_groups_equal_groups_decoded_apart(queries, patches):
    detector = _method(queries, patches=patches).detector.eval()
    encoded, proposals, _ = detector(*noise_images(2))
    groups, hints = query_groups(queries, patches), torch.randn(2, queries, TINY.width)
    together = detector.decode_queries(encoded, proposals, hints, group_mask(groups).expand(2, -1, -1))
    table = detector.query_content.data.clone()
    for group in range(patches):
        own = groups == group
        detector.query_content.data = table[own]
        part = replace(proposals, reference_boxes=proposals.reference_boxes[:, own], reference_angles=proposals.reference_angles[:, own])
        alone = detector.decode_queries(encoded, part, hints[:, own])
        torch.testing.assert_close(together.boxes[:, :, own], alone.boxes, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(together.states[:, :, own], alone.states, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_without_group_attention_queries_of_other_patches_are_seen():
    states = {}
    for own in (True, False):
        method = _method(group_attention=own, patch_dropout=0.0).eval()
        encoded, proposals, _ = method.detector(*noise_images(1))
        features = torch.randn(1, 5, 512, generator=torch.Generator().manual_seed(0))
        changed = features.clone()
        changed[:, 0] += 1.0
        one, other = (method._decode(encoded, proposals, given, generators(1)).states[-1, 0] for given in (features, changed))
        states[own] = (one - other).abs().amax(dim=-1) > 1e-4
    assert torch.equal(states[True], query_groups(12, 5) == 0)
    assert states[False].all()


def test_patches_lie_inside_and_follow_the_generator():
    settings = UpDetrPretrainSettings(architecture=TINY, patches=12)
    sizes = torch.tensor([[96, 64], [200, 300]])
    found, same = (random_patches(sizes, settings, generators(2, 3), torch.device("cpu")) for _ in range(2))
    for patches, again, (height, width) in zip(found, same, sizes.tolist(), strict=True):
        assert torch.equal(patches.boxes, again.boxes)
        points = corners(patches.boxes)
        assert len(patches.boxes) == 12
        assert points.min() > -1e-2
        assert (points < torch.tensor([width, height]) + 1e-2).all()
    assert not torch.equal(found[0].boxes, found[1].boxes)


def test_targets_are_not_read():
    one = _method().losses(*noise_images(2), [pseudo_objects(3), pseudo_objects(0)], generators(2, 2))
    other = _method().losses(*noise_images(2), [pseudo_objects(1, 5), pseudo_objects(4)], generators(2, 2))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not [name for name in one if "denoising" in name]


def test_random_places_are_anchors_of_tokens_drawn_anew_and_leave_the_head_of_the_encoder_alone():
    method = _method(query_places="random")
    torch.nn.init.zeros_(method.detector.encoder_head.box[-1].weight)
    torch.nn.init.zeros_(method.detector.encoder_head.box[-1].bias)
    seen = []
    decode = method.detector.decode_queries
    method.detector.decode_queries = lambda encoded, proposals, *rest: seen.append((encoded, proposals)) or decode(encoded, proposals, *rest)
    images, sizes = noise_images(2)
    terms = method.losses(images, sizes, [], generators(2, 2))
    method.losses(images, sizes, [], generators(2, 3))
    assert not [name for name in terms if name.startswith("encoder/")]
    assert {name.split("/")[0] for name in terms} >= {"decoder0", "decoder1"}
    torch.stack(list(terms.values())).sum().backward()
    assert all(parameter.grad is None for parameter in method.detector.encoder_head.parameters())
    for encoded, proposals in seen:
        chosen = [anchors[tokens] for anchors, tokens in zip(encoded.anchors, proposals.tokens, strict=True)]
        torch.testing.assert_close(proposals.reference_boxes, torch.stack(chosen).sigmoid())
    first, second = (proposals.tokens for _, proposals in seen)
    assert all(len(set(tokens.tolist())) == len(tokens) for tokens in first)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[1], second[1])


@torch.no_grad()
def test_reconstruction_of_every_layer_by_a_loop():
    method = _method(patch_dropout=0.0, reconstruction_weight=2.0)
    images, sizes = noise_images(2)
    found = method.losses(images, sizes, [], generators(2, 2))
    again = generators(2, 2)
    patches = random_patches(sizes, method._settings, again, torch.device("cpu"))
    features = pooled_features(method.detector.backbone, augmented_patches(images, sizes, [p.boxes for p in patches], method._settings, again), 2)
    encoded, proposals, _ = method.detector(images, sizes)
    hints = torch.stack([torch.stack([method.patch_content(features[image * 5 + query % 5]) for query in range(12)]) for image in range(2)])
    outputs = method.detector.decode_queries(encoded, proposals, hints, group_mask(torch.arange(12) % 5).expand(2, -1, -1))
    matches = method.detector.losses(proposals, replace(_decoded(method), matching=outputs), None, patches, sizes).decoder
    for layer, match in enumerate(matches):
        total = 0.0
        for image, query, target in zip(match.image.tolist(), match.query.tolist(), match.target.tolist(), strict=True):
            predicted = normalize(method.reconstruction(outputs.states[layer, image, query]), dim=0)
            total += float((predicted - normalize(features[target], dim=0)).square().sum())
        assert found[f"reconstruction{layer}"].item() == pytest.approx(2 * total / 10, rel=1e-3)


def _decoded(method):
    return method.detector(*noise_images(1))[2]


def test_share_of_queries_that_are_not_told_their_patch():
    method = _method(60, patch_dropout=0.25).eval()
    seen = []
    method.detector.decode_queries = lambda encoded, proposals, hints, mask: seen.append(hints)
    with torch.no_grad():
        method._decode(None, None, torch.ones(40, 5, 512), generators(40))
    silent = (seen[0] == 0).all(dim=-1)
    assert silent.float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert silent.any(dim=1).all()


def test_more_patches_than_queries_are_refused():
    with pytest.raises(ValueError, match="groups without a query"):
        UpDetrPretrainSettings(architecture=TINY, patches=13)


def test_shortest_side_bounds_the_longest():
    settings = UpDetrPretrainSettings(architecture=TINY, patches=12, shortest_side=40.0)
    (patches,) = random_patches(torch.tensor([[SIDE, SIDE]]), settings, generators(1), torch.device("cpu"))
    assert patches.boxes[:, 2].max() <= SIDE - 40.0 + 1e-3


def test_sides_of_patches_lie_between_those_given():
    settings = UpDetrPretrainSettings(architecture=TINY, patches=12, shortest_side=10.0, longest_side=20.0)
    (patches,) = random_patches(torch.tensor([[SIDE, SIDE]]), settings, generators(1), torch.device("cpu"))
    sides = patches.boxes[:, 2:4]
    assert sides.min() >= 10.0 - 1e-3
    assert 15.0 < sides.max() <= 20.0 + 1e-3


def test_a_longest_side_below_the_shortest_is_refused():
    with pytest.raises(ValueError, match="below shortest_side"):
        UpDetrPretrainSettings(architecture=TINY, patches=12, shortest_side=10.0, longest_side=9.0)


@pytest.mark.parametrize("key", ["min_box_side", "empty_tiles", "codebook", "boxes_per_tile"])
def test_keys_of_boxes_are_refused_because_it_reads_none(key):
    with pytest.raises(ValueError, match=f"{key}\n.*not permitted"):
        UpDetrPretrainSettings.model_validate({key: 1})
