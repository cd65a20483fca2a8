"""Losses of the methods: symmetries, ranges, what takes a gradient, what a queue holds."""

import lightly.utils.debug
import numpy as np
import pytest
import torch
from tiny_backbone import seeded_tiny_backbone
from torch.nn.functional import cross_entropy, normalize

from mutdet.embedding.backbones import build_backbone
from mutdet.pretraining.selfsup.byol import Byol
from mutdet.pretraining.selfsup.collapse import feature_deviation
from mutdet.pretraining.selfsup.cosine_loss import squared_distance
from mutdet.pretraining.selfsup.densecl import DenseCl
from mutdet.pretraining.selfsup.key_queue import KeyQueue
from mutdet.pretraining.selfsup.map_distance import map_nodes, marginal_weights, transport_distance
from mutdet.pretraining.selfsup.mocov2 import MocoV2
from mutdet.pretraining.selfsup.optimisers import make_optimiser, set_factor
from mutdet.pretraining.selfsup.selfemd import Embedding, SelfEmd
from mutdet.pretraining.selfsup.simsiam import SimSiam
from mutdet.settings.backbones.byol import ByolBackboneSettings
from mutdet.settings.backbones.densecl import DenseClBackboneSettings
from mutdet.settings.backbones.mocov2 import MocoV2BackboneSettings
from mutdet.settings.backbones.selfemd import SelfEmdBackboneSettings
from mutdet.settings.backbones.simsiam import SimSiamBackboneSettings

SMALL = {"crop_size": 64, "blur_kernel": 9, "projection_width": 16}
HIDDEN = {**SMALL, "projection_hidden": 32}
METHODS = {
    "byol": (Byol, ByolBackboneSettings(**HIDDEN)),
    "selfemd": (SelfEmd, SelfEmdBackboneSettings(**HIDDEN, third_view=0)),
    "selfemd, third view": (SelfEmd, SelfEmdBackboneSettings(**HIDDEN, third_view=32)),
    "simsiam": (SimSiam, SimSiamBackboneSettings(**SMALL, prediction_hidden=8)),
    "mocov2": (MocoV2, MocoV2BackboneSettings(**HIDDEN, queue=12)),
    "densecl": (DenseCl, DenseClBackboneSettings(**HIDDEN, queue=12)),
}


def method_of(name):
    method_class, settings = METHODS[name]
    return method_class(seeded_tiny_backbone(), settings).train(), settings


def views_of(settings, batch=4, seed=1):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, 3, size, size, generator=g) for size in settings.view_sizes()]


def total(method, views):
    return torch.stack(list(method.compare(views).losses.values())).sum()


@pytest.mark.parametrize("name", ["byol", "selfemd", "selfemd, third view", "simsiam"])
def test_swapping_the_views_changes_nothing(name):
    method, settings = method_of(name)
    first, second, *rest = views_of(settings)
    assert total(method, [first, second, *rest]).item() == pytest.approx(total(method, [second, first, *rest]).item(), abs=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_order_of_the_tiles_changes_nothing(name):
    method, settings = method_of(name)
    views = views_of(settings)
    state = {key: value.clone() for key, value in method.state_dict().items()}
    loss = total(method, views).item()
    method.load_state_dict(state)
    assert total(method, [view.flip(0) for view in views]).item() == pytest.approx(loss, abs=1e-5)


def test_order_of_the_nodes_changes_nothing():
    g = torch.Generator().manual_seed(0)
    nodes, targets = torch.randn(3, 10, 6, generator=g), torch.randn(3, 12, 6, generator=g)
    vector, other = torch.randn(3, 6, generator=g), torch.randn(3, 6, generator=g)

    def loss(first, second):
        return transport_distance(first, second, marginal_weights(first, other), marginal_weights(second, vector), 10.0, 10)

    shuffled = loss(nodes[:, torch.randperm(10, generator=g)], targets[:, torch.randperm(12, generator=g)])
    torch.testing.assert_close(shuffled, loss(nodes, targets))


def test_order_of_the_places_of_both_maps_changes_nothing():
    method, _ = method_of("selfemd")
    prediction = [torch.randn(2, 16, 3, 3), torch.randn(2, 16, 3, 3)]
    order = torch.randperm(9)
    moved = [places.flatten(2)[..., order].reshape(places.shape) for places in prediction]
    vectors = torch.randn(2, 2, 16)
    plain, shuffled = (method._transport(Embedding(vectors[0], first), Embedding(vectors[1], second), []) for first, second in (prediction, moved))
    torch.testing.assert_close(plain, shuffled)


def test_cosine_loss_runs_from_0_to_4():
    vectors = torch.randn(5, 7)
    for factor, expected in ((3.0, 0.0), (-2.0, 4.0)):
        assert squared_distance(vectors, factor * vectors).item() == pytest.approx(expected, abs=1e-5)
    unit, other = normalize(vectors), normalize(vectors.flip(0))
    assert squared_distance(vectors, other).item() == pytest.approx((unit - other).square().sum(1).mean().item(), abs=1e-5)


def test_targets_take_no_gradient():
    for name in METHODS:
        method, settings = method_of(name)
        total(method, views_of(settings)).backward()
        frozen = [key for key, parameter in method.named_parameters() if key.startswith(("target_", "key_"))]
        assert all(dict(method.named_parameters())[key].grad is None for key in frozen)
        trained = [key for key, parameter in method.named_parameters() if parameter.requires_grad]
        assert all(dict(method.named_parameters())[key].grad is not None for key in trained), name
        assert (name == "simsiam") == (not frozen)


def test_simsiam_stops_the_gradient_at_the_projection():
    method, settings = method_of("simsiam")
    views = views_of(settings)
    projections = [method.projector(method.backbone(view).mean((2, 3))) for view in views]
    expected = sum(-torch.cosine_similarity(method.predictor(a), b.detach()).mean() / 2 for a, b in (projections, projections[::-1]))
    gradient = torch.autograd.grad(expected, method.backbone.body[0].weight)[0]
    loss = total(method, views)
    assert loss.item() == pytest.approx(1.0 + expected.item(), abs=1e-5)
    torch.testing.assert_close(torch.autograd.grad(loss, method.backbone.body[0].weight)[0], gradient, rtol=1e-3, atol=1e-6)


def disturb_second_networks(method):
    """Targets that are not what the trained network makes of a view."""
    g = torch.Generator().manual_seed(2)
    for key, parameter in method.named_parameters():
        if key.startswith("target_"):
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=g))


@torch.no_grad()
def test_byol_predicts_the_target_of_the_other_view():
    method, settings = method_of("byol")
    disturb_second_networks(method)
    views = views_of(settings)
    predictions = [method.predictor(method.projector(method.backbone(view).mean((2, 3)))) for view in views]
    targets = [method.target_projector(method.target_backbone(view).mean((2, 3))) for view in views]
    expected = sum(2.0 - 2.0 * torch.cosine_similarity(a, b).mean() for a, b in zip(predictions, targets[::-1], strict=True))
    assert total(method, views).item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize(("name", "pairs"), [("selfemd", [(0, 1), (1, 0)]), ("selfemd, third view", [(0, 1), (1, 0), (2, 0), (2, 1)])])
@torch.no_grad()
def test_selfemd_predicts_the_targets_of_the_other_views(name, pairs):
    """Nodes weigh by their likeness to the other view's vector; the third view has no poolings."""
    method, settings = method_of(name)
    disturb_second_networks(method)
    views = views_of(settings)
    predictions = [method._prediction(method.backbone(view)) for view in views]
    targets = [method._target(view) for view in views[:2]]
    vector, transport = [], []
    for view, other in pairs:
        x, y = predictions[view], targets[other]
        nodes, other_nodes = (map_nodes(places, [] if view == 2 else [1, 2]) for places in (x.places, y.places))
        rows, columns = weights_by_likeness(nodes, y.vector), weights_by_likeness(other_nodes, x.vector)
        vector.append(2.0 - 2.0 * torch.cosine_similarity(x.vector, y.vector).mean().item())
        transport.append(transport_distance(nodes, other_nodes, rows, columns, 10.0, 10).item())
    losses = method.compare(views).losses
    assert losses["vector"].item() == pytest.approx(2.0 * np.mean(vector), abs=1e-5)
    assert losses["transport"].item() == pytest.approx(2.0 * np.mean(transport), abs=1e-5)


def weights_by_likeness(nodes, vector):
    """Eq. 13 of Self-EMD with its floor."""
    weights = torch.cosine_similarity(nodes, vector[:, None], dim=-1).clamp(min=0.0) + 1e-3
    return weights / weights.sum(dim=1, keepdim=True)


def test_third_view_keeps_the_scale_of_the_loss():
    two, settings = method_of("selfemd")
    three, _ = method_of("selfemd, third view")
    three.load_state_dict(two.state_dict())
    views = views_of(settings)
    same = total(three, [*views, views[0]])
    assert 0.7 < same.item() / total(two, views).item() < 1.3


@pytest.mark.parametrize("marginals", ["vector", "mean", "uniform"])
def test_every_kind_of_marginals_trains(marginals):
    settings = SelfEmdBackboneSettings(**HIDDEN, third_view=0, marginals=marginals)
    method = SelfEmd(seeded_tiny_backbone(), settings).train()
    losses = method.compare(views_of(settings)).losses
    assert all(0.0 <= value.item() <= 8.0 for value in losses.values())
    losses["transport"].backward()
    assert torch.isfinite(method.backbone.body[0].weight.grad).all()


def test_after_a_step_the_second_network_has_moved_by_its_share():
    for name, keep in (("byol", 0.996), ("selfemd", 0.996), ("mocov2", 0.999), ("densecl", 0.999)):
        method, _ = method_of(name)
        second = "target" if name in ("byol", "selfemd") else "key"
        with torch.no_grad():
            for key, parameter in method.named_parameters():
                parameter.fill_(0.0 if key.startswith(f"{second}_") else 1.0)
        method.after_step(0.0)
        moved = {parameter.unique().item() for key, parameter in method.named_parameters() if key.startswith(f"{second}_")}
        assert list(moved) == pytest.approx([1 - keep], abs=1e-6)


@pytest.mark.parametrize("name", ["byol", "selfemd"])
def test_after_the_last_step_the_target_stays(name):
    method, _ = method_of(name)
    with torch.no_grad():
        for key, parameter in method.named_parameters():
            parameter.fill_(0.0 if key.startswith("target_") else 1.0)
    method.after_step(1.0)
    assert not any(parameter.any() for key, parameter in method.named_parameters() if key.startswith("target_"))


def test_queue_gives_the_latest_keys_and_is_part_of_the_state():
    torch.manual_seed(0)
    queue = KeyQueue(6, 4)
    keys = normalize(torch.randn(6, 4))
    before = queue.exchange(keys[:3])
    assert before.shape == (4, 6)
    queue.exchange(keys[3:])
    torch.testing.assert_close(queue.exchange(keys[:3]).T, keys)
    other = KeyQueue(6, 4)
    other.load_state_dict(queue.state_dict())
    assert torch.equal(other.exchange(keys[:3]), queue.exchange(keys[:3]))


def test_momentum_contrast_is_the_cross_entropy_over_the_queue():
    method, settings = method_of("mocov2")
    views = views_of(settings)
    bank = method.contrast.memory_bank.bank.clone()
    query = normalize(method.projector(method.backbone(views[0]).mean((2, 3))))
    key = normalize(method.key_projector(method.key_backbone(views[1]).mean((2, 3))))
    logits = torch.cat([(query * key).sum(1, keepdim=True), query @ bank.T], dim=1) / 0.2
    expected = cross_entropy(logits, torch.zeros(4, dtype=torch.int64))
    assert total(method, views).item() == pytest.approx(expected.item(), abs=1e-5)
    torch.testing.assert_close(method.contrast.memory_bank.bank[:4], key.detach())
    assert {"contrast.memory_bank.bank", "contrast.memory_bank.bank_ptr"} <= set(method.state_dict())


def test_dense_contrast_matches_places_by_features():
    method, settings = method_of("densecl")
    views = views_of(settings)
    places = method.backbone(views[0]).flatten(2).transpose(1, 2)
    key_places = method.key_backbone(views[1]).flatten(2).transpose(1, 2)
    bank = method.place_queue.bank.bank.clone()
    losses = []
    for tile in range(4):
        best = (normalize(places[tile], dim=-1) @ normalize(key_places[tile], dim=-1).T).argmax(1)
        query = normalize(method.place_projector(places[tile]), dim=-1)
        key = normalize(method.key_place_projector(key_places[tile]), dim=-1)[best]
        logits = torch.cat([(query * key).sum(1, keepdim=True), query @ bank.T], dim=1) / 0.2
        losses.append(cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64)))
    assert method.compare(views).losses["dense"].item() == pytest.approx(0.5 * torch.stack(losses).mean().item(), abs=1e-5)


def test_deviation_tells_collapse_from_spread():
    g = torch.Generator().manual_seed(0)
    spread = torch.randn(4000, 64, generator=g)
    assert feature_deviation(spread) == pytest.approx(1.0, abs=0.02)
    assert feature_deviation(spread[:1].repeat(50, 1)) == 0.0
    assert feature_deviation(torch.zeros(5, 8)) == 0.0
    reference = lightly.utils.debug.std_of_l2_normalized(spread).item() * 8
    assert feature_deviation(spread) == pytest.approx(reference, rel=1e-3)


@pytest.mark.parametrize("optimiser", ["sgd", "lars", "adamw"])
def test_groups_of_parameters(optimiser):
    method, settings = method_of("simsiam")
    settings = settings.model_copy(update={"optimiser": optimiser, "decayed": "weights", "batch": 128, "weight_decay": 0.1})
    groups = make_optimiser(method, method.constant_rate, settings)
    set_factor(groups, 0.5)
    rates = {id(parameter): (group["lr"], group["weight_decay"]) for group in groups.param_groups for parameter in group["params"]}
    for name, parameter in method.named_parameters():
        expected = (0.025 * (1.0 if name.startswith("predictor.") else 0.5), 0.1 if parameter.ndim > 1 else 0.0)
        assert rates[id(parameter)] == pytest.approx(expected), name
    assert len(rates) == len(list(method.parameters()))


def test_lars_steps_are_a_share_of_the_weights():
    layer = torch.nn.Linear(4, 4)
    holder = torch.nn.ModuleDict({"layer": layer})
    settings = ByolBackboneSettings(weight_decay=1e-6, momentum=0.0)
    optimiser = make_optimiser(holder, (), settings)
    before = layer.weight.detach().clone()
    (layer(torch.randn(3, 4)) * 50).sum().backward()
    optimiser.step()
    step = (layer.weight - before).norm() / before.norm()
    assert step.item() == pytest.approx(0.2 * 1e-3, rel=1e-3)


@pytest.mark.parametrize("architecture", ["resnet50", "swin_t"])
def test_maps_of_every_architecture_can_be_compared(architecture):
    settings = SelfEmdBackboneSettings(**{**HIDDEN, "crop_size": 32}, third_view=0, architecture=architecture)
    method = SelfEmd(build_backbone(architecture), settings).train()
    with torch.no_grad():
        comparison = method.compare(views_of(settings, batch=2))
    assert comparison.features.shape == (2, method.backbone.width)
    assert all(np.isfinite(value.item()) for value in comparison.losses.values())
