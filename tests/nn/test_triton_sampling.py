"""The Triton form: its kernels in Triton's interpreter on any machine, and on a card where there is one."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from sampling_ways import outputs_and_gradients
from torch import Tensor

from mutdet.nn.level_sampling import choice, on_cuda
from mutdet.nn.level_sampling.choice import Sampling, sample_levels, sampling_on
from mutdet.nn.level_sampling.function import Shapes
from mutdet.nn.level_sampling.on_cpu import sample_levels_on_cpu
from mutdet.nn.level_sampling.on_cuda import sample_levels_on_cuda
from mutdet.nn.level_sampling.plain import sample_levels_plain

triton = pytest.importorskip("triton", reason="Triton is not installed")
needs_card = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")

ONE: Shapes = ((3, 5),)
FOUR: Shapes = ((4, 3), (2, 2), (2, 1), (1, 1))
FIVE: Shapes = ((1, 4), (3, 2), (2, 2), (1, 2), (1, 1))


@pytest.fixture(scope="module")
def interpreted_kernels() -> ModuleType:
    """A second copy of the kernels, run by Triton's interpreter; the one that other tests import stays compiled."""
    spec = importlib.util.spec_from_file_location("interpreted_kernels", on_cuda.__file__.replace("on_cuda", "cuda_kernels"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with triton.knobs.runtime.scope():
        triton.knobs.runtime.interpret = True
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def interpreted(monkeypatch: pytest.MonkeyPatch, interpreted_kernels: ModuleType) -> None:
    language = triton.language
    monkeypatch.setattr(on_cuda, "_kernels", lambda: interpreted_kernels)
    # Triton's own library was compiled for the card when it was imported; of it the kernels use only this sum.
    monkeypatch.setattr(language, "sum", lambda summed, axis: language.reduce(summed, axis, language.standard._sum_combine))


@pytest.fixture(params=["interpreter", *["card"] * torch.cuda.is_available()])
def device(request: pytest.FixtureRequest) -> str:
    if request.param == "card":
        return "cuda"
    request.getfixturevalue("interpreted")
    return "cpu"


def sampling_inputs(
    shapes: Shapes, heads: int = 2, channels: int = 8, points: int = 2, queries: int = 3, kind: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(channels)
    tokens, levels = sum(rows * columns for rows, columns in shapes), len(shapes)
    values = torch.randn(2, tokens, heads, channels, generator=generator)
    # a quarter to a half of the samples lies outside the level
    locations = torch.rand(2, queries, heads, levels, points, 2, generator=generator) * 1.4 - 0.2
    weights = torch.rand(2, queries, heads, levels, points, generator=generator)
    return values.to(kind), locations.to(kind), weights.to(kind)


def run(way: Sampling, inputs: tuple[Tensor, ...], shapes: Shapes, device: str = "cpu") -> list[Tensor]:
    """Result and gradients of all inputs, on the CPU."""
    values, locations, _ = inputs = tuple(x.to(device) for x in inputs)
    upstream = torch.randn(*locations.shape[:2], values.shape[2] * values.shape[3], generator=torch.Generator().manual_seed(1))
    return [x.cpu() for x in outputs_and_gradients(way, inputs, shapes, upstream)]


def assert_agrees_with_plain(inputs: tuple[Tensor, ...], shapes: Shapes, device: str, tolerance: float) -> None:
    """Within the tolerance of the largest number, in float64 and at the type that the inputs have."""
    expected = run(sample_levels_plain, tuple(x.double() for x in inputs), shapes)
    for ours, plain in zip(run(sample_levels_on_cuda, inputs, shapes, device), expected, strict=True):
        torch.testing.assert_close(ours.double(), plain, atol=tolerance * float(plain.abs().max()), rtol=tolerance)


@pytest.mark.parametrize("shapes", [ONE, FOUR, FIVE], ids=["1 level", "4 levels", "5 levels"])
@pytest.mark.parametrize(("heads", "channels", "points", "queries"), [(1, 1, 1, 1), (2, 12, 3, 5), (3, 16, 4, 2), (2, 32, 4, 1), (1, 48, 2, 3)])
def test_forward_and_gradients_agree_with_plain(device: str, shapes: Shapes, heads: int, channels: int, points: int, queries: int) -> None:
    inputs = sampling_inputs(shapes, heads, channels, points, queries)
    assert_agrees_with_plain(inputs, shapes, device, 1e-5)


def test_float64_agrees_to_its_own_precision(device: str) -> None:
    assert_agrees_with_plain(sampling_inputs(FOUR, kind=torch.float64), FOUR, device, 1e-13)


def test_gradients_of_all_inputs(device: str) -> None:
    inputs = [x.to(device).requires_grad_() for x in sampling_inputs(((3, 2), (1, 1)), 1, 2, 2, 2, torch.float64)]
    assert torch.autograd.gradcheck(lambda v, o, w: sample_levels_on_cuda(v, ((3, 2), (1, 1)), o, w), inputs, fast_mode=True)


def test_wide_heads_are_sampled_in_parts(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_cuda, "_ELEMENTS", 64)
    assert_agrees_with_plain(sampling_inputs(FIVE, heads=1, channels=12, queries=2), FIVE, device, 1e-5)
    assert_agrees_with_plain(sampling_inputs(ONE, heads=1, channels=33, queries=2), ONE, device, 1e-5)


# Borders of the map, centres of the first and last cells, and a cell beyond, all exact in floating point.
@pytest.mark.parametrize("place", [-0.125, 0.0, 0.125, 0.5, 0.875, 1.0, 1.125])
def test_places_on_borders_and_centres(device: str, place: float) -> None:
    values, locations, weights = sampling_inputs(((4, 4),))
    locations[:, ::2, ..., 0], locations[:, 1::2, ..., 1] = place, place
    assert_agrees_with_plain((values, locations, weights), ((4, 4),), device, 1e-5)


@pytest.mark.parametrize("place", [-1e30, -1.0, 2.0, 1e30, float("inf"), float("nan")])
def test_places_far_outside_give_zero(device: str, place: float) -> None:
    values, locations, weights = sampling_inputs(FOUR)
    assert not any(x.any() for x in run(sample_levels_on_cuda, (values, torch.full_like(locations, place), weights), FOUR, device))


def test_samples_in_one_square_add_up(device: str) -> None:
    values, locations, weights = sampling_inputs(ONE, heads=1, channels=64, queries=12)
    assert_agrees_with_plain((values, locations * 0.01 + 0.5, weights), ONE, device, 1e-5)


def test_inputs_need_not_be_contiguous(device: str) -> None:
    values, locations, weights = (x.transpose(0, 2).contiguous().transpose(0, 2) for x in sampling_inputs(FOUR))
    assert not values.is_contiguous()
    assert_agrees_with_plain((values, locations, weights), FOUR, device, 1e-5)


def test_a_gradient_that_is_expanded(device: str) -> None:
    values, locations, weights = (x.to(device).requires_grad_() for x in sampling_inputs(FOUR))
    sample_levels_on_cuda(values, FOUR, locations, weights).sum().backward()
    ours = values.grad
    values.grad = None
    sample_levels_plain(values, FOUR, locations, weights).sum().backward()
    torch.testing.assert_close(ours, values.grad, atol=1e-5, rtol=1e-5)


def test_the_same_bits_twice(device: str) -> None:
    inputs = sampling_inputs(FOUR)
    first, second = (run(sample_levels_on_cuda, inputs, FOUR, device) for _ in range(2))
    assert all(map(torch.equal, first, second))


@needs_card
def test_the_same_bits_twice_under_load() -> None:
    shapes = ((64, 64), (32, 32), (16, 16), (8, 8))
    inputs = sampling_inputs(shapes, heads=8, channels=32, points=4, queries=5440)
    first, *others = (run(sample_levels_on_cuda, inputs, shapes, "cuda") for _ in range(5))
    assert all(torch.equal(a, b) for other in others for a, b in zip(first, other, strict=True))
    assert_agrees_with_plain(inputs, shapes, "cuda", 1e-5)


def test_no_queries(device: str) -> None:
    result, of_values, of_locations, of_weights = run(sample_levels_on_cuda, sampling_inputs(FOUR, queries=0), FOUR, device)
    assert result.shape == (2, 0, 16)
    assert not of_values.any()
    assert of_locations.numel() == of_weights.numel() == 0


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_is_read_as_it_is(device: str, half: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    values, locations, weights = sampling_inputs(FOUR)
    expected = run(sample_levels_on_cuda, (values.to(half).float(), locations, weights.to(half).float()), FOUR, device)
    monkeypatch.setattr(choice, "sampling_on", lambda device: sample_levels_on_cuda)
    halves = run(sample_levels, (values.to(half), locations, weights.to(half)), FOUR, device)
    assert [x.dtype for x in halves] == [torch.float32, half, torch.float32, half]
    for ours, single in zip(halves, expected, strict=True):
        # The interpreter cuts where a card rounds.
        torch.testing.assert_close(ours.float(), single, atol=1e-5, rtol=torch.finfo(ours.dtype).eps)


def test_levels_that_do_not_fit_are_refused() -> None:
    values, locations, weights = sampling_inputs(FOUR)
    for shapes in (FOUR[:3], (*FOUR[:3], (1, 2))):
        with pytest.raises(ValueError, match="do not fit"):
            sample_levels_on_cuda(values, shapes, locations, weights)


def test_choice_by_device(monkeypatch: pytest.MonkeyPatch) -> None:
    for runs, expected in ((True, sample_levels_on_cuda), (False, sample_levels_plain)):
        monkeypatch.setattr(choice, "triton_runs", lambda runs=runs: runs)
        assert sampling_on(torch.device("cuda", 1)) is expected
        assert sampling_on(torch.device("cpu")) is sample_levels_on_cpu
        assert sampling_on(torch.device("mps")) is sample_levels_plain


def test_without_triton_the_choice_is_silent(monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not on_cuda.triton_runs.__wrapped__()
    assert not recwarn.list


def test_a_triton_that_fails_to_start_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Driver:
        @property
        def active(self) -> None:
            raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr("triton.runtime.driver", Driver())
    with pytest.warns(UserWarning, match="Failed to find C compiler"):
        assert not on_cuda.triton_runs.__wrapped__()


@pytest.mark.parametrize(("kind", "values_kind"), [(torch.float32, torch.float32), (torch.float32, torch.bfloat16), (torch.float64, torch.float64)])
def test_compiles_for_a_card_without_atomic_operations(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: torch.dtype, values_kind: torch.dtype) -> None:
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource
    from triton.runtime.jit import mangle_type

    assemblies = {}

    def compile_only(kernel: Any, programs: int, *arguments: Tensor | int, **constants: int) -> None:
        types = dict(zip(kernel.arg_names, map(mangle_type, arguments), strict=False))
        source = ASTSource(kernel, types | dict.fromkeys(constants, "constexpr"), {(kernel.arg_names.index(name),): constants[name] for name in constants})
        options = {"num_warps": 1, "enable_fp_fusion": True}
        assemblies[kernel.__name__] = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options).asm["ptx"]

    values, locations, weights = sampling_inputs(FIVE, channels=32, points=4, kind=kind)
    monkeypatch.setattr(on_cuda, "_launch", compile_only)
    with triton.knobs.cache.scope():
        triton.knobs.cache.dir = str(tmp_path)
        run(sample_levels_on_cuda, (values.to(values_kind), locations, weights), FIVE)
    assert set(assemblies) == {"sample", "gradients_of_places", "gradient_of_values"}
    for assembly in assemblies.values():
        assert "ld.global" in assembly
        assert not re.search(r"\b(atom|red)\.", assembly)


@needs_card
def test_triton_is_chosen_on_this_card() -> None:
    assert sampling_on(torch.device("cuda")) is sample_levels_on_cuda
