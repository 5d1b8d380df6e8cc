"""What a training says at its third of its end, and whether it says that it was wrong."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from compound.notes import heard_by
from compound.training import RECIPES
from compound.training.foretold import Foretold, epoch_rates, span
from compound.training.metrics import Metrics

RECIPE = replace(RECIPES["small"], epochs=12)
CURVE = [0.42, 0.61, 0.70, 0.76, 0.78, 0.80, 0.81, 0.83, 0.84, 0.85, 0.855, 0.858]


def trained(foretold, curve, epochs=12, tmp_path=None):
    """The callback through the epochs of a training, with what it said."""
    said, metrics = [], Metrics(tmp_path, {})
    trainer = SimpleNamespace(callbacks=[metrics, foretold], max_epochs=epochs)
    with heard_by(said.append):
        for accuracy in curve:
            metrics.rows.append({"val_top1": accuracy})
            foretold.on_train_epoch_end(trainer, SimpleNamespace(timeline=RECIPE.timeline))
    return said


def test_it_speaks_once_at_a_third_and_checks_itself(tmp_path):
    foretold = Foretold(RECIPE, 15, 1000)
    (said,) = trained(foretold, CURVE)
    assert foretold.said["epoch"] == 4
    low, high = foretold.said["low"], foretold.said["high"]
    assert low < CURVE[-1] < high
    assert said == f"epoch 4 of 12: it will end at {span(low, high)} of the held-out images, nine times in ten"
    held = foretold.checked(CURVE[-1])["foreseen"]
    assert (held["held"], held["ended"]) == (True, CURVE[-1])
    told = []
    with heard_by(told.append):
        assert not foretold.checked(low - 0.01)["foreseen"]["held"]
    assert told == [
        f"ended at {low - 0.01:.1%} of the held-out images, not the {span(low, high)} that were foreseen at epoch 4"
    ]


@pytest.mark.parametrize(
    ("images", "epochs", "curve"), [(0, 12, CURVE), (1000, 6, CURVE[:6]), (1000, 12, [float("nan")] * 3)]
)
def test_it_says_nothing_where_there_is_nothing_to_say(images, epochs, curve):
    """Without held-out images, in a training of few epochs, before its third."""
    foretold = Foretold(RECIPE, 15, images)
    assert trained(foretold, curve, epochs) == []
    assert foretold.checked(0.9) == {}


def test_what_was_said_stays_with_a_checkpoint():
    foretold, other = Foretold(RECIPE, 15, 1000), Foretold(RECIPE, 15, 1000)
    trained(foretold, CURVE[:5])
    other.load_state_dict(foretold.state_dict())
    assert other.checked(0.8) == foretold.checked(0.8)
    assert trained(other, CURVE) == []


def test_rates_of_epochs_are_those_of_their_last_steps():
    rates = epoch_rates(RECIPE, 15, 12)
    assert len(rates) == 12
    assert rates[-1] < 0.001 < rates[0]
    assert max(rates) <= RECIPE.peak_rate


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0.9091, 0.9349, "91 to 93 %"), (0.911, 0.919, "91.1 to 91.9 %"), (0.2, 0.6, "20 to 60 %")],
)
def test_spans_as_people_say_them(low, high, text):
    assert span(low, high) == text
