"""The training loop, with a model of two numbers."""

import multiprocessing
import os
import signal
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from drawn_tables import draw_tables
from torch import nn

from mutdet.settings.errors import UserError
from mutdet.settings.training import TrainingSettings
from mutdet.training.loop import Trainer
from mutdet.training.pseudo_objects import read_pseudo_objects
from mutdet.training.state import locked
from mutdet.training.stopping import StoppedError
from mutdet.training.tile_dataset import TileDataset
from mutdet.training.tile_index import TileIndex

SETTINGS = TrainingSettings(epochs=3, batch=2, image_size=32, learning_rate=0.05, threads=1, log_every=1, checkpoint_minutes=1e-9)


class _StopError(Exception):
    """Stands for a process that is killed."""


class _Model(nn.Module):
    def __init__(self, stop_at: int | None = None, bad_at: int | None = None, signal_at: tuple[int, int] | None = None, signal_children: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -1.0]))
        self.dropout = nn.Dropout(0.5)
        self.calls, self.stop_at, self.bad_at = 0, stop_at, bad_at
        self.signal_at, self.signal_children = signal_at, signal_children

    def losses(self, batch, generators):
        self.calls += 1
        if self.calls == self.stop_at:
            raise _StopError
        if self.signal_at and self.calls == self.signal_at[0]:
            for process in [*(multiprocessing.active_children() if self.signal_children else []), None]:
                os.kill(process.pid if process else os.getpid(), self.signal_at[1])
        noise = torch.rand((), generator=generators[0])
        fit = (self.dropout(self.weight) * batch.images.mean() - 1.0).square().mean() + noise * self.weight.abs().sum()
        bad = self.weight.sum() * (float("nan") if self.calls == self.bad_at else 0.0)
        return {"fit": fit, "bad": bad}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    drawn = draw_tables(tmp_path_factory.mktemp("drawn"), 4)
    index = TileIndex.read(drawn.tiles)
    return TileDataset(index, read_pseudo_objects(drawn.pseudo_labels, index, 0.0, 12, None), SETTINGS, "test")


def _run(dataset, state, workers=0, settings=SETTINGS, **options):
    model = _Model(**options)
    log = Trainer(model, model.losses, [], dataset, settings, "test").run(state, "me", workers)
    return log.rows, model.weight.tolist(), model.calls


def test_resumed_training_equals_an_uninterrupted_one(dataset, tmp_path):
    rows, weight, calls = _run(dataset, tmp_path / "whole")
    assert calls == 6
    for stop_at in (1, 4, 6):
        state = tmp_path / str(stop_at)
        with pytest.raises(_StopError):
            _run(dataset, state, stop_at=stop_at)
        assert _run(dataset, state) == (rows, weight, 6 - (stop_at - 1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize("workers", [0, 2])
def test_training_stopped_by_a_signal_at_any_step_ends_bit_for_bit_alike(dataset, tmp_path, workers, number):
    settings = SETTINGS.model_copy(update={"checkpoint_minutes": 60.0, "average": 0.9})
    rows, weight, _ = _run(dataset, tmp_path / "whole", settings=settings)
    for step in range(1, 6):
        state = tmp_path / str(step)
        with pytest.raises(StoppedError, match=rf"after step {step} of 6; run again"):
            _run(dataset, state, workers, settings, signal_at=(step, number))
        assert _run(dataset, state, workers, settings) == (rows, weight, 6 - step)
    assert _run(dataset, tmp_path / "end", workers, settings, signal_at=(6, number))[:2] == (rows, weight)


def test_handlers_of_signals_come_back(dataset, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    _run(dataset, tmp_path)
    assert signal.getsignal(signal.SIGTERM) is before


def test_workers_outlast_a_signal_to_all_processes(dataset, tmp_path):
    settings = SETTINGS.model_copy(update={"checkpoint_minutes": 60.0})
    model = _Model(signal_at=(2, signal.SIGTERM), signal_children=True)
    with pytest.raises(StoppedError, match="after step 2"):
        Trainer(model, model.losses, [], dataset, settings, "test").run(tmp_path, "me", 2)


def test_averaged_weights_are_what_a_training_gives(dataset, tmp_path):
    seen = []
    model = _Model()
    settings = SETTINGS.model_copy(update={"average": 0.75})
    Trainer(model, model.losses, [], dataset, settings, "test", lambda _: seen.append(model.weight.detach().clone())).run(tmp_path, "me")
    average = seen[0]
    for weight in seen[1:]:
        average = 0.75 * average + 0.25 * weight
    torch.testing.assert_close(model.weight.detach(), average)


def test_parts_of_a_batch_add_up(dataset, tmp_path):
    """Losses that are means over tiles: the mean over parts is the mean over the batch."""
    results = []
    for parts in (1, 2, 4):
        settings = SETTINGS.model_copy(update={"batch": 4, "accumulate": parts})
        weight = nn.Parameter(torch.tensor([1.0, -1.0]))
        model = nn.Module()
        model.weight = weight

        def losses(batch, generators, weight=weight):
            return {"fit": (weight * batch.images.mean(dim=(1, 2, 3))[:, None] - 1.0).square().mean()}

        book = Trainer(model, losses, [], dataset, settings, "test").run(tmp_path / str(parts), "me")
        results.append((weight.tolist(), [value for *_, value in book.rows]))
    assert results[1] == (pytest.approx(results[0][0], rel=1e-5), pytest.approx(results[0][1], rel=1e-5))
    assert results[2] == (pytest.approx(results[0][0], rel=1e-5), pytest.approx(results[0][1], rel=1e-5))


def test_every_step_moves_weights_by_the_schedules_rate(dataset, tmp_path):
    """Under a gradient that never changes a step of AdamW is as long as the learning rate, but for its epsilon of 1e-8."""
    names, places = ("usual", "slow"), []
    model = nn.ParameterDict({name: torch.zeros((), dtype=torch.float64) for name in names})

    def note(_):
        places.append([model[name].item() for name in names])

    changes = {"epochs": None, "iterations": 20, "warmup_iterations": 2, "drops": [0.5, 0.75], "slow_factor": 0.5, "weight_decay": 0.0}
    settings = SETTINGS.model_copy(update=changes)
    Trainer(model, lambda *_: {"fit": -model["usual"] - model["slow"]}, ["slow"], dataset, settings, "test", note).run(tmp_path, "me")
    lengths = np.diff(places, axis=0, prepend=0.0)
    expected = 0.05 * np.array([1 / 3, 2 / 3, *[1.0] * 8, *[0.1] * 5, *[0.01] * 5])
    np.testing.assert_allclose(lengths, np.stack([expected, 0.5 * expected], axis=1), rtol=1e-6)


def test_random_numbers_of_a_tile_are_its_own_however_a_batch_is_cut(dataset, tmp_path):
    def drawn(parts):
        model, seen = _Model(), []

        def losses(batch, generators):
            seen.extend((tile_id, float(torch.rand((), generator=generator))) for tile_id, generator in zip(batch.tile_ids, generators, strict=True))
            return {"fit": model.weight.sum()}

        settings = SETTINGS.model_copy(update={"batch": 4, "accumulate": parts})
        Trainer(model, losses, [], dataset, settings, "test").run(tmp_path / str(parts), "me")
        return seen

    numbers = drawn(1)
    assert len(numbers) == len({number for _, number in numbers}) == 12
    assert numbers == drawn(2)


def test_a_state_that_another_training_still_holds_is_waited_for(dataset, tmp_path, monkeypatch):
    """The other one lets go while this one sleeps between two looks at the lock."""
    with ExitStack() as other:
        other.enter_context(locked(tmp_path / "me"))
        monkeypatch.setattr("mutdet.training.state.time.sleep", lambda seconds: other.close())
        assert len(_run(dataset, tmp_path)[0]) > 0


def test_finished_training_is_not_repeated(dataset, tmp_path):
    rows, weight, _ = _run(dataset, tmp_path)
    assert _run(dataset, tmp_path) == (rows, weight, 0)


def test_workers_change_nothing(dataset, tmp_path):
    assert _run(dataset, tmp_path / "0") == _run(dataset, tmp_path / "2", workers=2)


def test_log_holds_every_loss_and_their_sum(dataset, tmp_path):
    rows, _, _ = _run(dataset, tmp_path)
    values = {(step, name): value for step, _, name, value in rows}
    assert values[3, "loss/total"] == pytest.approx(values[3, "loss/fit"] + values[3, "loss/bad"])
    assert [epoch for step, epoch, name, _ in rows if name == "loss/total"] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]


def test_loss_that_is_not_finite_stops_the_training(dataset, tmp_path):
    with pytest.raises(UserError, match=r"not finite in step 2: fit [\d.]+, bad nan, total nan"):
        _run(dataset, tmp_path, bad_at=3)


def test_gradients_are_clipped(dataset, tmp_path):
    model = _Model()
    settings = SETTINGS.model_copy(update={"clip_norm": 1e-6})
    trainer = Trainer(model, model.losses, [], dataset, settings, "test")
    trainer.run(tmp_path, "me")
    assert model.weight.grad.norm() <= 1.1e-6


def test_what_follows_a_step_is_told_how_far_the_training_is(dataset, tmp_path):
    model, seen = _Model(), []

    def after_step(progress):
        seen.append((progress, model.calls, model.weight.tolist()))

    Trainer(model, model.losses, [], dataset, SETTINGS, "test", after_step).run(tmp_path, "me")
    assert [(progress, calls) for progress, calls, _ in seen] == [(pytest.approx(step / 6), step) for step in range(1, 7)]
    assert seen[0][2] != [1.0, -1.0]
    assert seen[-1][2] == model.weight.tolist()
