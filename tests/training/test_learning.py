"""A diverging training is stopped; a short one learns; accuracy in a time budget (slow)."""

from dataclasses import replace

import pytest
import torch

from compound import ZOO
from compound.data import open_data
from compound.evaluation import Evaluation
from compound.execution import Execution
from compound.training import RECIPES, start_run, train
from compound.training.divergence import Diverged
from compound.training.outcome import cautions


@pytest.mark.slow
def test_training_learns(tmp_path, network, data, recipe):
    run = start_run(network, data, replace(recipe, epochs=12), tmp_path / "run")
    _, result = train(run, data, execution=Execution("cpu"), quiet=True)
    assert result.top(1) > 0.8


def test_a_loss_that_is_no_number_stops_before_the_update(tmp_path, network, data, recipe):
    run = start_run(network, data, replace(recipe, rate=1e12, epochs=3), tmp_path / "run")
    with pytest.raises(Diverged, match="lower --rate"):
        train(run, data, execution=Execution("cpu"), quiet=True)
    assert not run.weights.exists()


def told(labels: list[int], predicted: list[int]) -> Evaluation:
    probabilities = torch.eye(2)[torch.tensor(predicted)]
    return Evaluation(("cat", "dog"), probabilities, torch.tensor(labels), torch.arange(len(labels)), [])


def test_a_loss_that_grew_tenfold_and_a_result_of_no_use_are_said():
    labels = [0] * 22 + [1] * 18  # 55 % are cats
    good, useless = told(labels, labels), told(labels, [0] * 34 + [1] * 6)  # 70 % are right, 54.6 to 81.9
    assert cautions([2.0, 0.6, 0.01, 0.2], 0.69, good, "test") == []  # twenty times, and still less than guessing
    (grown,) = cautions([2.0, 0.6, 8.0], 0.69, good, "test")
    assert grown.startswith("the training loss was 8 in epoch 3, and an epoch before had 0.6: the rate is too high")
    (grown,) = cautions([7.0, 0.6], 0.69, good, "test")
    assert "the training loss was 7 in epoch 1, and guessing has 0.69" in grown
    (said,) = cautions([0.6], 0.69, useless, "test")
    assert said.startswith(
        "top-1 70.0% is not clearly above the 55.0% of the test images that are of the largest class"
    )
    assert "largest class, cat; train longer" in said


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_small_images_in_minutes(tmp_path):
    data = open_data("fashion6k")
    recipe = replace(RECIPES["small"], minutes=2.5)
    run = start_run(ZOO["efficientnet-mini"], data, recipe, tmp_path / "run")
    _, result = train(run, data, quiet=True)
    assert result.top(1) >= 0.88
