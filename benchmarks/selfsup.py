"""Seconds per image of every self-supervised method against BYOL in the same run, and the share of Self-EMD's step that Sinkhorn's iterations take.

A step is forward and backward passes, optimiser and moving average; views come from memory. The methods take turns, so that other load on the
machine falls on all of them. The Self-EMD paper: 0.38 s an iteration for BYOL, 0.43 with the map branch, 0.51 with poolings and third view.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from measuring import machine
from torch import Tensor

from mutdet.embedding.backbones import build_backbone
from mutdet.pretraining.selfsup import map_distance
from mutdet.pretraining.selfsup.byol import Byol
from mutdet.pretraining.selfsup.densecl import DenseCl
from mutdet.pretraining.selfsup.interface import SelfSupervisedMethod
from mutdet.pretraining.selfsup.mocov2 import MocoV2
from mutdet.pretraining.selfsup.optimisers import make_optimiser
from mutdet.pretraining.selfsup.selfemd import SelfEmd
from mutdet.pretraining.selfsup.simsiam import SimSiam
from mutdet.settings.backbones.byol import ByolBackboneSettings
from mutdet.settings.backbones.densecl import DenseClBackboneSettings
from mutdet.settings.backbones.mocov2 import MocoV2BackboneSettings
from mutdet.settings.backbones.self_supervised import SelfSupervisedSettings
from mutdet.settings.backbones.selfemd import SelfEmdBackboneSettings
from mutdet.settings.backbones.simsiam import SimSiamBackboneSettings

METHODS: dict[str, tuple[type[SelfSupervisedMethod], type[SelfSupervisedSettings], dict[str, Any]]] = {
    "byol": (Byol, ByolBackboneSettings, {}),
    "selfemd, map alone": (SelfEmd, SelfEmdBackboneSettings, {"third_view": 0, "pyramid_strides": []}),
    "selfemd, poolings": (SelfEmd, SelfEmdBackboneSettings, {"third_view": 0}),
    "selfemd, poolings, third view": (SelfEmd, SelfEmdBackboneSettings, {"third_view": "half"}),
    "simsiam": (SimSiam, SimSiamBackboneSettings, {}),
    "mocov2": (MocoV2, MocoV2BackboneSettings, {}),
    "densecl": (DenseCl, DenseClBackboneSettings, {}),
}
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Clock:
    """Seconds spent in a function, once it has been replaced by `timed`."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        self._function = function
        self.seconds = 0.0

    def timed(self, *arguments: Any) -> Tensor:
        """The function's value; the time it takes is added up."""
        wait()
        start = time.perf_counter()
        value = self._function(*arguments)
        wait()
        self.seconds += time.perf_counter() - start
        return value


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Step:
    """A method that takes optimiser steps on the same views."""

    def __init__(self, name: str, arguments: argparse.Namespace, device: torch.device) -> None:
        method_class, settings_class, changes = METHODS[name]
        changes = {key: arguments.crop // 2 if value == "half" else value for key, value in changes.items()}
        settings = settings_class(architecture=arguments.architecture, crop_size=arguments.crop, blur_kernel=9, batch=arguments.batch, **changes)
        torch.manual_seed(0)
        method = method_class(build_backbone(arguments.architecture), settings)
        self._method = method.to(device).to(memory_format=torch.channels_last).train()
        self._optimiser = make_optimiser(self._method, self._method.constant_rate, settings)
        views = [torch.randn(arguments.batch, 3, side, side, device=device) for side in settings.view_sizes()]
        self._views = [view.contiguous(memory_format=torch.channels_last) for view in views]
        self._device, self._dtype = device, DTYPES[arguments.precision]
        self.parameters = sum(parameter.numel() for parameter in self._method.parameters() if parameter.requires_grad)

    def take(self) -> float:
        """Seconds."""
        start = time.perf_counter()
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype != torch.float32):
            comparison = self._method.compare(self._views)
        self._optimiser.zero_grad(set_to_none=True)
        torch.stack(list(comparison.losses.values())).sum().backward()
        self._optimiser.step()
        self._method.after_step(0.5)
        wait()
        return time.perf_counter() - start


def measure(arguments: argparse.Namespace, device: torch.device) -> None:
    clock = Clock(map_distance.transport_plan)
    map_distance.transport_plan = clock.timed
    steps = {name: Step(name, arguments, device) for name in arguments.methods}
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    sinkhorn: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(arguments.steps + 1):
        for name, step in steps.items():
            clock.seconds = 0.0
            taken = step.take()
            if turn:
                seconds[name].append(taken)
                sinkhorn[name].append(clock.seconds)
    reference = statistics.median(seconds["byol"])
    for name, step in steps.items():
        median = statistics.median(seconds[name])
        share = statistics.median(sinkhorn[name]) / median
        told = f", Sinkhorn {100 * share:.1f} %" if share else ""
        each, weights = 1000 * median / arguments.batch, f"{step.parameters / 1e6:.1f} M weights"
        print(f"{name:30s} {each:7.2f} ms an image, ratio to BYOL {median / reference:.2f}, {weights}{told}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--crop", type=int, default=96)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=DTYPES, default="float32")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(machine(), torch.cuda.get_device_name() if where.type == "cuda" else f"CPU, {chosen.threads} thread(s)")
    print(f"{chosen.architecture}, views of {chosen.crop} px, batch {chosen.batch}, {chosen.precision}, median of {chosen.steps} steps")
    measure(chosen, where)
