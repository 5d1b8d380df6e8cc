"""Values that make no sense are refused, a loss that explodes is said, and threads are kept as part of the bits."""

import math
from contextlib import suppress
from dataclasses import replace

import pytest
import torch
import yaml

from compound.data import Augment, DataError, DataSpec
from compound.errors import UsageError
from compound.execution import Execution
from compound.training import RECIPES, Safeguards, Transfer, open_run, start_run, train
from compound.training.divergence import Diverged
from compound.training.recipe import Recipe

NUMBERS = [name for name, value in vars(RECIPES["small"]).items() if isinstance(value, float)]


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", [*NUMBERS, "minutes", "training_memory"])
def test_a_recipe_holds_finite_numbers(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=name):
        replace(RECIPES["small"], **{name: value})


@pytest.mark.parametrize(
    ("field", "value"), [("momentum", 2.0), ("momentum", -0.1), ("warmup_epochs", -1.0), ("rate_batch", 0)]
)
def test_a_recipe_holds_numbers_in_their_range(field: str, value: float) -> None:
    with pytest.raises(UsageError, match=field):
        replace(RECIPES["small"], **{field: value})
    with pytest.raises(UsageError, match="class_weights"):
        replace(RECIPES["small"], class_weights=(1.0, -1.0))


def test_other_questions_hold_finite_numbers() -> None:
    for bad in (math.nan, math.inf):
        with pytest.raises(UsageError, match="unfreeze"):
            Transfer(unfreeze=bad)
        with pytest.raises(DataError, match="ratio"):
            Augment(ratio=(0.5, bad))
        with pytest.raises(DataError, match="holdout"):
            DataSpec("fashion6k", holdout=bad)


def recipe(**fields) -> Recipe:
    return replace(RECIPES["small"], epochs=1, batch=32, precision="fp32", **fields)


def test_a_loss_that_explodes_stops_the_training_unless_asked_not_to(data, network, tmp_path, capsys) -> None:
    wild = recipe(rate=1e9, warmup_epochs=0.0)
    run = start_run(network, data, wild, tmp_path / "run")
    with pytest.raises(Diverged, match=r"the loss became [\d.e+]+, more than 1,000 times that of guessing at step \d"):
        train(run, data, quiet=True)
    assert (run.path / "diverged.json").is_file()
    run = start_run(network, data, wild, tmp_path / "on")
    with suppress(Diverged):  # by numbers that are none, if it comes to them
        train(run, data, safeguards=Safeguards(on_nan="go-on"), quiet=True)
    assert capsys.readouterr().err.count("more than 1,000 times that of guessing") == 1


@pytest.mark.long
def test_a_run_goes_on_with_the_threads_it_began_with(data, network, tmp_path, capsys) -> None:
    before = torch.get_num_threads()
    other = before % 2 + 1
    run = start_run(network, data, recipe(), tmp_path / "run", Execution(threads=other))
    train(run, data, execution=Execution(threads=other), quiet=True)
    kept = open_run(run.path)
    assert (kept.threads, torch.get_num_threads()) == (other, before)
    assert capsys.readouterr().err.count("threads") == 0
    train(kept.now("stopped"), data, quiet=True)
    said = capsys.readouterr().err
    assert f"going on with {other} threads as it began, not {before}: another number ends in other bits" in said
    train(kept.now("stopped"), data, execution=Execution(threads=3), quiet=True)
    assert f"going on with 3 threads and not {other} as it began: it ends in other bits" in capsys.readouterr().err
    given = yaml.safe_load((run.path / "run.yaml").read_text())
    del given["threads"]
    (run.path / "run.yaml").write_text(yaml.safe_dump(given))
    assert open_run(run.path).threads is None  # of an older version
    for absurd in (0, -1, 10**9, "many"):
        (run.path / "run.yaml").write_text(yaml.safe_dump(given | {"threads": absurd}))
        with pytest.raises(UsageError, match="damaged"):
            open_run(run.path)
