"""Few photos from nothing: what to expect is said before the training, with a command to paste."""

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from compound import ZOO, cost
from compound.data import ArraySource, DataSet, DataSpec
from compound.quantity import quantity
from compound.training import RECIPES, Run, Setup, Start
from compound.training.memory import ALONE
from compound.verbs.advice import advice
from compound.verbs.train import start_text

B0 = ZOO["efficientnet-b0"].with_(classes=3)


def images(each: int, side: int = 80) -> DataSet:
    labels = np.arange(3 * each) % 3
    source = ArraySource(torch.zeros(len(labels), 3, side, side, dtype=torch.uint8), labels, "photos")
    return DataSet("photos", ("a", "b", "c"), 3, source, source, source, DataSpec("my photos", 3))


def test_few_photos_from_nothing_get_a_command_that_costs_no_more() -> None:
    (said,) = advice(B0, images(20), replace(RECIPES["few"], minutes=3.0), Setup())
    assert said.startswith("20 training images a class are few to learn from nothing")
    words = shlex.split(said.partition("within the same cost: ")[2])
    assert words[:5] == ["compound", "fit", "my photos", "--weights", "auto"]
    assert words[5] == "--macs"
    assert 0 <= quantity(words[6]) - cost(B0).macs < 1e6
    assert words[7:] == ["--minutes", "3"]


@pytest.mark.parametrize(
    ("data", "setup"),
    [
        (images(100), Setup()),  # not few
        (images(20, 64), Setup()),  # no photos
        (images(20), Setup(Start("lite0.pth"))),
        (images(20), Setup(resume=True)),
    ],
)
def test_others_get_no_advice(data: DataSet, setup: Setup) -> None:
    assert advice(B0, data, RECIPES["few"], setup) == []


def test_what_the_minutes_cover_is_said_before_the_training() -> None:
    recipe = replace(RECIPES["few"], minutes=3.0, epochs=12)
    said = start_text(Run(Path("runs/x"), B0, recipe, {}, 0), images(20), ALONE)
    assert "3 minutes cover the training with its checks on held-out images, as many epochs as they hold" in said
    assert "reading the data and the evaluation at the end come on top" in said
    assert "minutes cover" not in start_text(Run(Path("x"), B0, RECIPES["few"], {}, 0), images(20), ALONE)
