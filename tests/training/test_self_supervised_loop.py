"""The loop that trains backbones, with a method of two numbers: rate of every step, and batches in parts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn_tables import draw_tables
from torch import Tensor, nn

from mutdet.pretraining.selfsup.interface import Comparison, SelfSupervisedMethod
from mutdet.settings.backbones.self_supervised import SelfSupervisedSettings
from mutdet.settings.stages import STAGES
from mutdet.training.self_supervised import SelfSupervisedTrainer
from mutdet.training.tile_index import TileIndex
from mutdet.training.view_dataset import ViewDataset

RATE = 0.25


class _Method(SelfSupervisedMethod):
    """Minimises a function of its two numbers and the first view, and notes them after every step."""

    constant_rate = ("constant",)

    def __init__(self, function: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        nn.Module.__init__(self)
        self.scheduled, self.constant = (nn.Parameter(torch.zeros(())) for _ in range(2))
        self.function, self.places = function, [[0.0, 0.0]]

    def compare(self, views: list[Tensor]) -> Comparison:
        return Comparison({"vector": self.function(self.scheduled, self.constant, views[0])}, views[0].mean(dim=(2, 3)))

    def after_step(self, progress: float) -> None:
        self.places.append([self.scheduled.item(), self.constant.item()])


def settings_of(batch: int, **changes: object) -> SelfSupervisedSettings:
    """SGD with a learning rate of `RATE`, and nothing but the gradient in its steps."""
    views = {"architecture": "resnet18", "crop_size": 32, "blur_kernel": 5, "threads": 1, "projection_width": 16, "prediction_hidden": 8}
    sgd = {"optimiser": "sgd", "learning_rate": RATE * 256 / batch, "momentum": 0.0, "weight_decay": 0.0}
    return STAGES["backbone"].validate({"method": "simsiam", **views, **sgd, "batch": batch, **changes})


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> TileIndex:
    return TileIndex.read(draw_tables(tmp_path_factory.mktemp("drawn"), 6, side=48).tiles)


def train(method: _Method, index: TileIndex, settings: SelfSupervisedSettings, state: Path) -> np.ndarray:
    """[steps + 1, 2] the method's numbers before and after every step."""
    SelfSupervisedTrainer(method, ViewDataset(index, settings, "test"), settings).run(state, "me", 0)
    return np.array(method.places)


def test_every_step_moves_weights_by_the_schedules_rate(index: TileIndex, tmp_path: Path) -> None:
    """The gradient is -1 throughout."""
    settings = settings_of(2, iterations=20, warmup_epochs=2 / 3)
    places = train(_Method(lambda scheduled, constant, view: -scheduled - constant), index, settings, tmp_path)
    scheduled = [0.5, 1.0, *(0.5 + 0.5 * np.cos(np.pi * np.arange(18) / 18))]
    expected = RATE * np.stack([scheduled, np.ones(20)], axis=1)
    np.testing.assert_allclose(np.diff(places, axis=0), expected, atol=1e-6)  # rounding of float32 numbers up to 5


def test_accumulated_parts_give_the_weights_of_one(index: TileIndex, tmp_path: Path) -> None:
    """A loss that is a mean over tiles and has no normalisation: the mean over parts is the mean over the batch."""

    def fit(scheduled: Tensor, constant: Tensor, view: Tensor) -> Tensor:
        return (scheduled * view.mean(dim=(1, 2, 3)) + constant - 1.0).square().mean()

    whole, halves, quarters = (train(_Method(fit), index, settings_of(8, iterations=3, accumulate=parts), tmp_path / str(parts)) for parts in (1, 2, 4))
    assert np.abs(np.diff(whole, axis=0)).min() > 1e-3
    np.testing.assert_allclose(halves, whole, rtol=1e-5)
    np.testing.assert_allclose(quarters, whole, rtol=1e-5)
