"""A device beside the CPU on any machine: tensors on it hold CPU tensors, and mixing the two fails as it does with CUDA.

PyTorch calls it `meta`, because that is a device that every build has. What it cannot show: CUDA's rounding, streams and kernels.
"""

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map_only

OTHER = torch.device("meta")
_aten = torch.ops.aten
MAY_MIX = {_aten._to_copy.default, _aten.copy_.default}
MAY_INDEX = {_aten.index.Tensor, _aten.index_put.default, _aten.index_put_.default, _aten._index_put_impl_.default, _aten._unsafe_index.Tensor}
"""CUDA takes indices from the CPU here."""


WAITS = {_aten._local_scalar_dense.default, _aten.nonzero.default, _aten._unique2.default, _aten.equal.default, _aten.masked_select.default}
"""Results, or sizes of results, that CUDA's caller waits for."""
_waited: list[str] = []


class OtherTensor(torch.Tensor):
    """A tensor on the other device."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "OtherTensor":
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=OTHER, requires_grad=held.requires_grad
        )
        made.held = held
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    def tolist(self) -> Any:
        """As on CUDA: the numbers."""
        _note_wait()
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})


class _FromNumbers(TorchFunctionMode):
    """PyTorch forgets the numbers of `torch.tensor(numbers, device="meta")` and of lists that index: make those on the CPU."""

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is torch.Tensor.new_tensor and args[0].device == OTHER:
            return torch.tensor(*args[1:], **{"dtype": args[0].dtype, **kwargs, "device": "cpu"}).to(kwargs.get("device") or OTHER)
        if function in (torch.Tensor.__getitem__, torch.Tensor.__setitem__) and isinstance(args[0], OtherTensor):
            where = args[1] if isinstance(args[1], tuple) else (args[1],)
            args = (args[0], tuple(torch.tensor(part) if isinstance(part, list) else part for part in where), *args[2:])
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") is not None and torch.device(kwargs["device"]) == OTHER:
            return function(*args, **{**kwargs, "device": None}).to(OTHER)
        return function(*args, **kwargs)


class _OnOther(TorchDispatchMode):
    """Catches what makes a tensor without having one."""

    def __torch_dispatch__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(function, args, kwargs or {})


@contextmanager
def other_device() -> Iterator[None]:
    """Within this context tensors can be made on OTHER; autocast leaves it alone, inference mode is no_grad."""
    autocast = torch.autocast

    def unless_other(device_type: str, *args: Any, **kwargs: Any) -> Any:
        return nullcontext() if device_type == OTHER.type else autocast(device_type, *args, **kwargs)

    def enter(mode: Any) -> None:
        mode.other = torch.no_grad()
        mode.other.__enter__()

    def leave(mode: Any, *error: Any) -> None:
        mode.other.__exit__(*error)

    inference = mock.patch.multiple(torch.inference_mode, __enter__=enter, __exit__=leave)
    with mock.patch.object(torch, "autocast", unless_other), inference, _OnOther(), _FromNumbers():
        yield


@contextmanager
def recorded_waits() -> Iterator[list[str]]:
    """Lines of the package at which the caller would wait for a CUDA device, in their order."""
    _waited.clear()
    yield _waited


def _note_wait() -> None:
    frames = [frame for frame in traceback.extract_stack() if f"{os.sep}mutdet{os.sep}" in frame.filename]
    _waited.append(f"{frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}" if frames else "outside the package")


def _makes_wait(function: Callable[..., Any], args: Any, kwargs: dict[str, Any], target: torch.device) -> bool:
    if function is _aten.repeat_interleave.Tensor:
        return kwargs.get("output_size") is None
    if function in MAY_INDEX and isinstance(args[0], OtherTensor):
        return any(isinstance(part, OtherTensor) and part.dtype == torch.bool for part in args[1])
    return function in WAITS or (function in MAY_MIX and target != OTHER)


def _run(function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_flatten((args, kwargs))[0] if isinstance(leaf, torch.Tensor)]
    others = [tensor for tensor in tensors if isinstance(tensor, OtherTensor)]
    if any(tensor.device == OTHER and not isinstance(tensor, OtherTensor) for tensor in tensors):
        raise RuntimeError(f"{function}: PyTorch made a tensor without values; catch what made it in _FromNumbers")
    if others:
        _refuse_mixture(function, args, [tensor for tensor in tensors if not isinstance(tensor, OtherTensor)])
    wanted = kwargs.get("device")
    target = torch.device(wanted) if wanted is not None else (OTHER if others and not _fills_cpu(function, args) else torch.device("cpu"))
    if others and _makes_wait(function, args, kwargs, target):
        _note_wait()
    generator = kwargs.get("generator")
    if target == OTHER and generator is not None and generator.device != OTHER:
        raise RuntimeError(f"{function}: a generator of {generator.device} draws on the other device")
    if wanted is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    kwargs.pop("pin_memory", None)
    held_args, held_kwargs = tree_map_only(OtherTensor, lambda tensor: tensor.held, (args, kwargs))
    out = function(*held_args, **held_kwargs)
    if target != OTHER:
        return out
    out = tree_map_only(torch.Tensor, OtherTensor, out)
    return return_and_correct_aliasing(function, args, kwargs, out) if others else out


def _fills_cpu(function: Callable[..., Any], args: Any) -> bool:
    return function is _aten.copy_.default and not isinstance(args[0], OtherTensor)


def _refuse_mixture(function: Callable[..., Any], args: Any, foreign: list[torch.Tensor]) -> None:
    if function in MAY_MIX or (function in MAY_INDEX and isinstance(args[0], OtherTensor)):
        return
    if any(tensor.dim() > 0 for tensor in foreign):
        raise RuntimeError(f"{function}: tensors on the CPU and on the other device, shapes {[tuple(tensor.shape) for tensor in foreign]}")
