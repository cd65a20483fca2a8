"""Transport plans against POT, exact transport and closed forms, in float64 (docs/method.md F; numbers as in the design's list)."""

import itertools

import numpy as np
import ot
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn.functional import normalize

from mutdet.pretraining.selfsup.map_distance import map_nodes, marginal_weights, transport_distance, uniform_weights
from mutdet.pretraining.selfsup.sinkhorn import transport_plan


def structured_nodes(count: int, seed: int, width: int = 16) -> torch.Tensor:
    """Unit vectors around a few directions, as the places of a feature map are."""
    g = torch.Generator().manual_seed(seed)
    centres = torch.randn(5, width, generator=g, dtype=torch.float64)
    nodes = centres[torch.randint(0, 5, (count,), generator=g)] + 0.4 * torch.randn(count, width, generator=g, dtype=torch.float64)
    return normalize(nodes, dim=-1)


def problem(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cost [N, N + 2] and marginals that do not depend on it."""
    g = torch.Generator().manual_seed(seed + 100)
    cost = 1 - structured_nodes(count, seed) @ structured_nodes(count + 2, seed + 50).T
    rows, columns = (torch.rand(n, generator=g, dtype=torch.float64) + 1e-3 for n in cost.shape)
    return cost, rows / rows.sum(), columns / columns.sum()


def entropy(weights: torch.Tensor) -> float:
    return float(-(weights * weights.log()).sum())


@pytest.mark.parametrize(("sharpness", "iterations"), itertools.product([1.0, 10.0, 20.0], [1, 2, 3, 10, 50]))
def test_1_every_iteration_is_pots_on_the_transposed_problem(sharpness, iterations):
    for seed in range(3):
        cost, rows, columns = problem(20, seed)
        expected = ot.sinkhorn(columns, rows, cost.T, 1 / sharpness, numItermax=iterations, stopThr=0, warn=False).T
        torch.testing.assert_close(transport_plan(cost, rows, columns, sharpness, iterations), expected, rtol=1e-12, atol=1e-15)


def test_1_untransposed_only_at_convergence():
    cost, rows, columns = problem(20, 0)
    for iterations, close in ((3, False), (3000, True)):
        other = ot.sinkhorn(rows, columns, cost, 0.1, numItermax=iterations, stopThr=0, warn=False)
        assert torch.allclose(transport_plan(cost, rows, columns, 10.0, iterations), other, rtol=0, atol=1e-9) == close


@pytest.mark.parametrize("sharpness", [5.0, 10.0, 20.0])
def test_2_converged_plan_is_feasible_and_within_the_entropic_bound(sharpness):
    for seed in range(2):
        cost, rows, columns = problem(16, seed)
        plan = transport_plan(cost, rows, columns, sharpness, 8000)
        assert (plan.sum(1) - rows).abs().max() < 1e-8
        assert (plan.sum(0) - columns).abs().max() < 1e-8
        gap = float((plan * cost).sum()) - ot.emd2(rows, columns, cost).item()
        assert -1e-9 <= gap <= min(entropy(rows), entropy(columns)) / sharpness


def rounded(plan: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Feasible plan near a given one (Altschuler et al. 2017, Algorithm 2)."""
    plan = plan * (rows / plan.sum(1)).clamp(max=1)[:, None]
    plan = plan * (columns / plan.sum(0)).clamp(max=1)
    left, right = rows - plan.sum(1), columns - plan.sum(0)
    return plan + torch.outer(left, right) / left.sum().clamp(min=1e-300)


def test_3_ten_iterations_are_not_feasible_but_cost_no_less_than_exact_once_rounded():
    below = 0
    for seed in range(12):
        cost, rows, columns = problem(12, seed)
        plan = transport_plan(cost, rows, columns, 20.0, 10)
        exact = ot.emd2(rows, columns, cost).item()
        below += float((plan * cost).sum()) < exact
        feasible = rounded(plan, rows, columns)
        torch.testing.assert_close(feasible.sum(1), rows)
        assert float((feasible * cost).sum()) >= exact - 1e-12
    assert below > 0


def test_4_equal_sets_cost_nothing():
    nodes = torch.eye(9, dtype=torch.float64)
    weights = torch.rand(9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = weights / weights.sum()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    for other, columns in ((nodes, weights), (nodes[order], weights[order])):
        plan = transport_plan(1 - nodes @ other.T, weights, columns, 60.0, 50)
        assert float((plan * (1 - nodes @ other.T)).sum()) == pytest.approx(0, abs=1e-9)
        assert transport_distance(nodes[None], other[None], weights[None], columns[None], 60.0, 50).item() == pytest.approx(0, abs=1e-8)


def test_4_orthogonal_is_two_and_antipodal_is_four():
    nodes = normalize(torch.randn(6, 4, dtype=torch.float64).abs(), dim=-1)
    apart = torch.cat([torch.zeros_like(nodes), nodes], dim=-1)[None]
    near = torch.cat([nodes, torch.zeros_like(nodes)], dim=-1)[None]
    weights = uniform_weights(near)
    assert transport_distance(near, apart, weights, weights, 10.0, 10).item() == pytest.approx(2)
    one = nodes[:1].expand(6, -1)[None]
    assert transport_distance(one, -one, weights, weights, 10.0, 10).item() == pytest.approx(4)


def test_4_uniform_marginals_are_an_assignment():
    cost = 1 - structured_nodes(8, 3) @ structured_nodes(8, 4).T
    weights = torch.full((8,), 1 / 8, dtype=torch.float64)
    plan = transport_plan(cost, weights, weights, 3000.0, 4000)
    rows, columns = linear_sum_assignment(cost.numpy())
    assert float((plan * cost).sum()) == pytest.approx(cost.numpy()[rows, columns].mean(), abs=2e-3)
    assert ot.emd2(weights, weights, cost).item() == pytest.approx(cost.numpy()[rows, columns].mean())


def test_4_small_sharpness_is_the_product_of_marginals():
    cost, rows, columns = problem(10, 5)
    plan = transport_plan(cost, rows, columns, 1e-9, 10)
    torch.testing.assert_close(plan, torch.outer(rows, columns), rtol=1e-7, atol=0)
    assert float((plan * cost).sum()) == pytest.approx(float(rows @ cost @ columns))


@pytest.mark.parametrize("seed", range(6))
def test_4_two_by_two_lies_at_an_end_of_its_interval(seed):
    random = np.random.default_rng(seed)
    cost = torch.from_numpy(random.uniform(0, 2, (2, 2)))
    r, c = random.uniform(0.1, 0.9, 2)
    rows, columns = torch.tensor([r, 1 - r], dtype=torch.float64), torch.tensor([c, 1 - c], dtype=torch.float64)
    diagonal = float(cost[0, 0] + cost[1, 1] - cost[0, 1] - cost[1, 0])
    expected = min(r, c) if diagonal < 0 else max(0.0, r + c - 1)
    assert float(transport_plan(cost, rows, columns, 400.0, 4000)[0, 0]) == pytest.approx(expected, abs=5e-3)


def test_5_gradient_of_the_regularised_value_is_the_plan():
    cost, rows, columns = problem(6, 7)
    sharpness = 10.0

    def value(matrix: torch.Tensor) -> float:
        plan = transport_plan(matrix, rows, columns, sharpness, 3000)
        return float((plan * matrix).sum() + (plan * (plan.clamp(min=1e-300).log() - 1)).sum() / sharpness)

    plan = transport_plan(cost, rows, columns, sharpness, 3000)
    for i, j in itertools.product(range(0, 6, 2), range(0, 8, 3)):
        step = torch.zeros_like(cost)
        step[i, j] = 1e-5
        assert (value(cost + step) - value(cost - step)) / 2e-5 == pytest.approx(float(plan[i, j]), abs=1e-9)


@pytest.mark.parametrize(("sharpness", "least"), [(10.0, 0.95), (20.0, 0.85)])
def test_5_detached_gradient_points_the_way_of_the_full_one(sharpness, least):
    likeness = []
    for seed in range(6):
        cost, rows, columns = problem(20, seed)
        cost = cost.clone().requires_grad_(True)
        plan = transport_plan(cost, rows, columns, sharpness, 10)
        full = torch.autograd.grad((plan * cost).sum(), cost)[0].flatten()
        likeness.append(torch.cosine_similarity(full, plan.detach().flatten(), dim=0).item())
    assert np.mean(likeness) > least


def test_5_the_loss_uses_the_detached_gradient():
    nodes, targets = structured_nodes(5, 0)[None].clone().requires_grad_(True), structured_nodes(6, 1)[None]
    rows, columns = uniform_weights(nodes).detach(), uniform_weights(targets)
    transport_distance(nodes, targets, rows, columns, 10.0, 10).backward()
    leaf = nodes.detach().clone().requires_grad_(True)
    cosine = normalize(leaf, dim=-1) @ targets.transpose(1, 2)
    plan = transport_plan(1 - cosine.detach(), rows, columns, 10.0, 10)
    (2 - 2 * (plan * cosine).sum()).backward()
    torch.testing.assert_close(nodes.grad, leaf.grad)


def test_6_float32_stays_finite_where_plain_exponentials_do_not():
    nodes = normalize(torch.randn(7, 8, generator=torch.Generator().manual_seed(0)), dim=-1)
    nodes[0] = -nodes[1]
    targets = nodes[1:2].expand(7, -1)
    cost, weights = 1 - nodes @ targets.T, torch.full((7,), 1 / 7)
    kernel = (-60.0 * cost).exp()
    scale = weights / (kernel @ torch.ones(7))
    assert not torch.isfinite(kernel.T @ scale).all() or not torch.isfinite(scale).all()
    plan = transport_plan(cost, weights, weights, 60.0, 10)
    assert torch.isfinite(plan).all()
    torch.testing.assert_close(plan.sum(0), weights)
    expected = transport_plan(cost.double(), weights.double(), weights.double(), 60.0, 10)
    torch.testing.assert_close(plan.double(), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("sharpness", "most"), [(5.0, 0.014), (10.0, 0.09), (20.0, 0.13)])
@pytest.mark.parametrize("count", [49, 83])
def test_7_row_errors_after_ten_iterations_are_as_measured_in_the_design(sharpness, most, count):
    for seed in range(4):
        first, second = structured_nodes(count, seed)[None], structured_nodes(count, seed + 9)[None]
        rows, columns = marginal_weights(first, second.mean(1)), marginal_weights(second, first.mean(1))
        plan = transport_plan(1 - first @ second.transpose(1, 2), rows, columns, sharpness, 10)
        assert float((plan.sum(2) - rows).abs().sum()) <= most


def test_a_node_without_weight_gets_no_mass():
    cost, rows, columns = problem(5, 2)
    rows = torch.cat([rows[:-1], torch.zeros(1, dtype=torch.float64)])
    plan = transport_plan(cost, rows / rows.sum(), columns, 10.0, 10)
    assert torch.isfinite(plan).all()
    assert float(plan[-1].sum()) == 0


def test_batches_are_independent():
    problems = [problem(9, seed) for seed in range(3)]
    together = transport_plan(*(torch.stack(parts) for parts in zip(*problems, strict=True)), 10.0, 10)
    for plan, (cost, rows, columns) in zip(together, problems, strict=True):
        torch.testing.assert_close(plan, transport_plan(cost, rows, columns, 10.0, 10))


def test_nodes_of_a_seven_by_seven_map_are_83():
    places = torch.arange(2 * 3 * 49, dtype=torch.float64).reshape(2, 3, 7, 7)
    nodes = map_nodes(places, [1, 2])
    assert nodes.shape == (2, 83, 3)
    torch.testing.assert_close(nodes[:, :49].transpose(1, 2).reshape(places.shape), places)
    torch.testing.assert_close(nodes[0, 49], places[0, :, :3, :3].mean(dim=(1, 2)))
    torch.testing.assert_close(nodes[1, -1], places[1, :, 4:, 4:].mean(dim=(1, 2)))
    assert map_nodes(places[..., :2, :2], [1, 2]).shape == (2, 4, 3)


def test_marginals_are_eq_13_with_a_floor():
    nodes = torch.tensor([[[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]])
    weights = marginal_weights(nodes, torch.tensor([[5.0, 0.0]]))
    torch.testing.assert_close(weights, torch.tensor([[1.001, 0.001, 0.001]]) / 1.003)
