"""Learning rate and parameter groups."""

import pytest
from torch import nn

from mutdet.settings.training import TrainingSettings
from mutdet.training.optimiser import learning_rate_factor, make_optimiser, set_learning_rate


def test_schedule_of_ars_detr():
    settings = TrainingSettings()
    steps = settings.total_steps(2000)
    assert steps == 36000
    factors = [learning_rate_factor(step, steps, settings) for step in (0, 250, 500, 31999, 32000, 35999)]
    assert factors == pytest.approx([1 / 3, 2 / 3, 1, 1, 0.1, 0.1])


def test_warm_up_of_a_short_training_is_a_tenth_of_it():
    settings = TrainingSettings(iterations=100)
    assert [learning_rate_factor(step, 100, settings) < 1 for step in range(12)] == [True] * 10 + [False] * 2


def test_slow_and_frozen_parameters():
    model = nn.ModuleDict({"backbone": nn.Linear(2, 2), "head": nn.Linear(2, 2), "frozen": nn.Linear(2, 2).requires_grad_(False)})
    settings = TrainingSettings(learning_rate=1e-3)
    optimiser = make_optimiser(model, ["backbone.weight", "backbone.bias"], settings)
    set_learning_rate(optimiser, 0.5)
    rates = {id(parameter): group["lr"] for group in optimiser.param_groups for parameter in group["params"]}
    found = {name: rates.get(id(parameter)) for name, parameter in model.named_parameters() if name.endswith("weight")}
    assert found == {"backbone.weight": pytest.approx(5e-5), "head.weight": pytest.approx(5e-4), "frozen.weight": None}
    assert {group["weight_decay"] for group in optimiser.param_groups} == {1e-5}


@pytest.mark.parametrize("given", [{"epochs": 3, "iterations": 5}, {"epochs": None}, {"flip_vertical": 0.6}])
def test_impossible_settings(given):
    with pytest.raises(ValueError, match=r"epochs|flip"):
        TrainingSettings(**given)


def test_iterations_stand_in_place_of_epochs():
    settings = TrainingSettings(iterations=5)
    assert (settings.epochs, settings.total_steps(1000)) == (None, 5)
    assert TrainingSettings.model_validate(settings.model_dump()) == settings
    assert TrainingSettings(epochs=3, batch=4).total_steps(10) == 8
