"""A diverging training is stopped; a short one learns; accuracy in a time budget (slow)."""

from dataclasses import replace

import pytest

from compound import ZOO
from compound.data import open_data
from compound.execution import Execution
from compound.training import RECIPES, start_run, train
from compound.training.divergence import Diverged


@pytest.mark.long
def test_training_learns(tmp_path, network, data, recipe):
    run = start_run(network, data, replace(recipe, epochs=12), tmp_path / "run")
    _, result = train(run, data, execution=Execution("cpu"), quiet=True)
    assert result.top(1) > 0.8


def test_a_loss_that_is_no_number_stops_before_the_update(tmp_path, network, data, recipe):
    run = start_run(network, data, replace(recipe, rate=1e30, epochs=3), tmp_path / "run")
    with pytest.raises(Diverged, match="lower --rate"):
        train(run, data, execution=Execution("cpu"), quiet=True)
    assert not run.weights.exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_small_images_in_minutes(tmp_path):
    data = open_data("fashion6k")
    recipe = replace(RECIPES["small"], minutes=2.5)
    run = start_run(ZOO["efficientnet-mini"], data, recipe, tmp_path / "run")
    _, result = train(run, data, quiet=True)
    assert result.top(1) >= 0.88
