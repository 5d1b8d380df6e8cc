"""Figures of an evaluation against closed forms; a diverging training; accuracy in a time budget (slow)."""

from dataclasses import replace

import pytest
import torch

from compound import ZOO
from compound.data import open_data
from compound.nn import build
from compound.train import Evaluation, evaluate, start_run, train
from compound.train.divergence import Diverged


@pytest.fixture
def four():
    probabilities = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.5, 0.4, 0.1], [0.2, 0.1, 0.7]])
    return Evaluation(("a", "b", "c"), probabilities, torch.tensor([0, 1, 1, 2]), torch.tensor([0, 1, 2, 4]), [])


def test_figures(four):
    assert four.top(1) == 0.5
    assert four.top(2) == four.top(5) == 1.0
    assert four.confusion().tolist() == [[1, 0, 0], [1, 0, 1], [0, 0, 1]]
    assert four.loss == pytest.approx(-sum(map(torch.log, torch.tensor([0.7, 0.3, 0.4, 0.7]))).item() / 4)
    assert four.most_confident_mistakes(8) == [1, 2]  # positions in the source, most confident first
    assert four.summary()["per_class"] == {"a": 1.0, "b": 0.0, "c": 1.0}


def test_the_interval_is_wilsons():
    # Wilson 1927; 8 of 10 gives 0.4902 to 0.9433 (Newcombe 1998, method 3).
    labels = torch.tensor([0] * 8 + [1] * 2)
    probabilities = torch.tensor([[0.9, 0.1]] * 10)
    low, high = Evaluation(("a", "b"), probabilities, labels, torch.arange(10), []).interval()
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)


def test_evaluation_leaves_the_mode_and_does_not_depend_on_the_batch(network, data):
    model = build(network, 3, 1, seed=0).train()
    small, large = (evaluate(model, data.test, data.classes, batch=size, device="cpu") for size in (7, 60))
    assert model.training
    assert torch.allclose(small.probabilities, large.probabilities, atol=1e-6)
    assert torch.equal(small.indices, torch.arange(60))


def test_training_learns(tmp_path, network, data, recipe):
    run = start_run(network, data, "pictures", replace(recipe, epochs=12), tmp_path / "run")
    _, result = train(run, data, quiet=True, device="cpu")
    assert result.top(1) > 0.8


def test_a_loss_that_is_no_number_stops_before_the_update(tmp_path, network, data, recipe):
    run = start_run(network, data, "pictures", replace(recipe, rate=1e30, epochs=3), tmp_path / "run")
    with pytest.raises(Diverged, match="lower --rate"):
        train(run, data, quiet=True, device="cpu")
    assert not run.weights.exists()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_small_images_in_minutes(tmp_path):
    data = open_data("fashion6k")
    from compound.train import RECIPES

    recipe = replace(RECIPES["small"], minutes=2.5)
    run = start_run(ZOO["efficientnet-mini"], data, "fashion6k", recipe, tmp_path / "run")
    _, result = train(run, data, quiet=True)
    assert result.top(1) >= 0.88
