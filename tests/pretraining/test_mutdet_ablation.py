"""MutDet's ablation: each setting takes exactly its part away or adds it."""

from dataclasses import replace

import pytest
import torch
from drawn_tables import TINY
from generators import generators
from pseudo_batch import CLASSES, noise_images, pseudo_objects
from torch.nn.functional import normalize

from mutdet.detectors.ars_detr import ArsDetr
from mutdet.pretraining.contrast import contrastive_alignment
from mutdet.pretraining.mutdet import MutDet, distil_decoder, distil_encoder
from mutdet.settings.pretraining.mutdet import MutdetPretrainSettings

TARGETS = [pseudo_objects(3), pseudo_objects(2, 1)]
ALONE = {"enhancement": "nothing", "align_encoder": False, "siamese": False}


def _method(**options) -> MutDet:
    torch.manual_seed(0)
    small = {"enhancement_layers": 2, "enhancement_width": 48, "embedding_width": 40}
    return MutDet(ArsDetr(TINY, CLASSES), MutdetPretrainSettings(architecture=TINY, iterations=1, **{**small, **options})).train()


def _losses(method, targets=TARGETS):
    return method.losses(*noise_images(len(targets)), targets, generators(len(targets), 2))


def _pass(method):
    return method.detector.train_pass(*noise_images(2), TARGETS, generators(2, 2))


@pytest.mark.parametrize(
    ("options", "branches", "others"),
    [
        (ALONE, ["plain"], {"align_decoder", "align_denoising"}),
        ({**ALONE, "enhancement": "embeddings"}, ["plain"], {"align_decoder", "align_denoising"}),
        ({**ALONE, "enhancement": "embeddings_and_features"}, ["enhanced"], {"align_decoder", "align_denoising"}),
        ({"siamese": False}, ["enhanced"], {"align_decoder", "align_denoising", "align_encoder"}),
        ({"align_encoder": False}, ["enhanced", "auxiliary"], {"align_decoder", "align_denoising"}),
        ({"encoder_distillation": 1.0, "decoder_distillation": 2.0}, ["enhanced", "auxiliary"], {"align_decoder", "align_denoising", "align_encoder"}),
    ],
)
def test_branches_and_terms_of_a_row(options, branches, others):
    names = set(_losses(_method(**options)))
    distilled = {name for name in names if "/" not in name}
    assert distilled == ({"distil_encoder", "distil_decoder"} if "encoder_distillation" in options else set())
    assert {name.split("/")[0] for name in names - distilled} == set(branches)
    assert {name.split("/")[1] for name in names if name.startswith(f"{branches[0]}/align")} == others


def test_without_enhancement_the_branch_is_the_plain_detector():
    method = _method(**ALONE)
    expected, found = _pass(method).detection.values, _losses(method)
    assert all(torch.equal(found[f"plain/{name}"], value) for name, value in expected.items())


def _matched(method, done):
    matches = done.detection.decoder[-1]
    states = done.decoded.matching.states[-1][matches.image, matches.query]
    return method.state_embedding(states), torch.cat([t.embeddings for t in TARGETS]), matches.target


def test_contrast_is_with_the_given_embeddings_where_they_are_not_enhanced():
    method = _method(**ALONE, temperature=0.5)
    assert torch.equal(_losses(method)["plain/align_decoder"], contrastive_alignment(*_matched(method, _pass(method)), 0.5))


def test_l2_is_the_squared_distance_of_unit_vectors():
    method = _method(**ALONE, alignment="l2", alignment_weight=3.0)
    z, o, target = (part.detach() for part in _matched(method, _pass(method)))
    total = sum(float((normalize(z[i], dim=0) - normalize(o[j], dim=0)).square().sum()) for i, j in enumerate(target.tolist()))
    assert _losses(method)["plain/align_decoder"].item() == pytest.approx(3 * total / len(target), rel=1e-4)


def test_enhanced_embeddings_see_features_but_features_do_not_see_them():
    method = _method(**{**ALONE, "enhancement": "embeddings"})
    encoded = method.detector.encode(*noise_images(2))
    given = [t.embeddings for t in TARGETS]
    enhanced = method.enhancement(method.detector, encoded, given)
    assert enhanced.encoded is encoded
    assert torch.equal(enhanced.tokens, method.detector.project_memory(encoded))
    dimmed = replace(encoded, memory=encoded.memory * torch.linspace(0.5, 1.5, encoded.memory.shape[1])[:, None])
    other = method.enhancement(method.detector, dimmed, given)
    assert not torch.allclose(other.objects, enhanced.objects)
    assert not torch.allclose(enhanced.objects, torch.cat(given))


def test_unlike_mutual_enhancement_that_of_embeddings_never_changes_features():
    """With one layer embeddings are enhanced before features are, so both agree; with two the second layer sees other features."""
    for layers, equal in ((1, True), (2, False)):
        both = _method(enhancement_layers=layers)
        objects = _method(**{**ALONE, "enhancement": "embeddings"}, enhancement_layers=layers)
        objects.enhancement.load_state_dict(both.enhancement.state_dict())
        encoded = both.detector.encode(*noise_images(2))
        given = [t.embeddings for t in TARGETS]
        assert torch.allclose(both.enhancement(both.detector, encoded, given).objects, objects.enhancement(both.detector, encoded, given).objects) == equal


@pytest.mark.parametrize("enhancement", ["embeddings", "embeddings_and_features"])
@torch.no_grad()
def test_what_an_image_and_its_objects_exchange_does_not_depend_on_the_batch(enhancement):
    """Padding, which one image has at the right and the other below, is not attended to."""
    method = _method(**{**ALONE, "enhancement": enhancement}).eval()
    images, sizes = noise_images(2)[0], torch.tensor([[96, 48], [48, 96]])
    given = [t.embeddings for t in TARGETS]
    encoded = method.detector.encode(images, sizes)
    together = method.enhancement(method.detector, encoded, given)
    for number, objects in enumerate(together.objects.split([len(vectors) for vectors in given])):
        height, width = sizes[number].tolist()
        alone = method.detector.encode(images[number : number + 1, :, :height, :width], sizes[number : number + 1])
        expected = method.enhancement(method.detector, alone, given[number : number + 1])
        inside = ~encoded.padding_mask[number]
        assert not inside.all()
        # Sums over more or fewer places are rounded differently.
        torch.testing.assert_close(objects, expected.objects, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(together.tokens[number, inside], expected.tokens[0], rtol=1e-4, atol=1e-4)


def test_number_of_enhancement_layers():
    assert [len(_method(enhancement_layers=count).enhancement.layers.layers) for count in (1, 3)] == [1, 3]


@torch.no_grad()
def test_tokens_are_aligned_with_the_objects_that_they_are_matched_with(monkeypatch):
    method, embedded, enhanced, matched = _method(temperature=0.5), [], [], []
    method.token_embedding.register_forward_hook(lambda module, given, made: embedded.append(made))
    method.enhancement.register_forward_hook(lambda module, given, made: enhanced.append(made))
    together = method.detector.losses_together
    monkeypatch.setattr(method.detector, "losses_together", lambda *given: matched.append(together(*given)) or matched[0])
    found = _losses(method)["enhanced/align_encoder"]
    matches = matched[0]["enhanced/"].encoder
    tokens = [embedded[0][image, token] for image, token in zip(matches.image.tolist(), matches.query.tolist(), strict=True)]
    assert torch.equal(found, contrastive_alignment(torch.stack(tokens), enhanced[0].objects, matches.target, 0.5))


def test_likeness_ranks_proposals_only_where_tokens_are_aligned(monkeypatch):
    for aligned in (True, False):
        method, seen = _method(align_encoder=aligned, siamese=False), []
        propose = method.detector.propose

        def spy(encoded, tokens, scores=None, propose=propose, seen=seen):
            seen.append(scores)
            return propose(encoded, tokens, scores)

        monkeypatch.setattr(method.detector, "propose", spy)
        _losses(method)
        assert [scores is not None for scores in seen] == [aligned]


def _distilled(method, term):
    """A term of distillation, and the tensors that teach and learn."""
    method.detector.eval()
    images, sizes = noise_images(2)
    encoded = method.detector.encode(images, sizes)
    enhanced = method.enhancement(method.detector, encoded, [t.embeddings for t in TARGETS])
    branches = {}

    def spy(detector, batch, branch):
        branches["batch"], branches["branch"] = batch, branch
        return term(detector, batch, branch)

    method._distillations = {"term": (1.0, spy)}
    value = _losses(method)["term"]
    return value, branches["batch"], branches["branch"], encoded, enhanced


def test_encoder_distillation_is_the_mean_of_one_less_cosines():
    method = _method(encoder_distillation=1.0)
    value, batch, branch, encoded, enhanced = _distilled(method, distil_encoder)
    plain, taught = (tokens.detach().flatten(0, 1) for tokens in (encoded.memory, enhanced.encoded.memory))
    cosines = [float(torch.cosine_similarity(a, b, dim=0)) for a, b in zip(plain, taught, strict=True)]
    assert value.item() == pytest.approx(1 - sum(cosines) / len(cosines), abs=1e-4)
    some = torch.rand(encoded.valid.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    of_some = distil_encoder(method.detector, replace(batch, encoded=replace(batch.encoded, valid=some)), branch)
    chosen = [cosine for cosine, counts in zip(cosines, some.flatten().tolist(), strict=True) if counts]
    assert of_some.item() == pytest.approx(1 - sum(chosen) / len(chosen), abs=1e-4)
    (gradient,) = torch.autograd.grad(value, batch.enhanced.encoded.memory, retain_graph=True, allow_unused=True)
    assert gradient is None
    assert torch.autograd.grad(value, batch.encoded.memory)[0].abs().sum() > 0


def test_decoder_distillation_is_nothing_where_both_see_the_same():
    method = _method(decoder_distillation=1.0)
    value, batch, branch, _, _ = _distilled(method, distil_decoder)
    assert value > 1e-3
    same = replace(batch, encoded=batch.enhanced.encoded)
    assert distil_decoder(method.detector, same, branch).item() == pytest.approx(0, abs=1e-5)


def test_the_teacher_of_decoder_distillation_takes_no_gradient():
    value, batch, branch, _, _ = _distilled(_method(decoder_distillation=1.0), distil_decoder)
    teacher, student = torch.autograd.grad(value, [branch.decoded.matching.states, batch.encoded.memory], allow_unused=True)
    assert teacher is None
    assert student.abs().sum() > 0


@pytest.mark.parametrize(
    "options",
    [
        {"enhancement": "nothing"},
        {"enhancement": "embeddings", "siamese": False, "encoder_distillation": 1.0},
        {"enhancement": "embeddings", "siamese": False, "alignment": "l2"},
    ],
)
def test_parts_that_do_not_fit_together_are_refused(options):
    with pytest.raises(ValueError, match="enhancement"):
        MutdetPretrainSettings(**options)
