"""`compound shrink`: a trained network within a budget, by the way that keeps most of its accuracy."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import TINY

import compound
from compound import RECIPES, Budget, DataSpec, cost, parse_network
from compound.errors import BudgetError, UsageError
from compound.measurement import Turns
from compound.training import open_run
from compound.training.judging import data_of_run
from compound.training.seen import read_seen
from compound.verbs import timed
from compound.verbs.contest import Shrunk

RECIPE = replace(RECIPES["small"], epochs=1, batch=16, precision="fp32")
WIDE = TINY.replace("channels: 8}", "channels: 32}").replace(
    "stem: {block: conv, channels: 8", "stem: {block: conv, channels: 16"
)
TURNS = Turns(2, 1, 0)


@pytest.fixture(scope="module", autouse=True)
def timed_in_pytorch() -> Iterator[None]:
    """No files of other runtimes, which take a second each to write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timed, "is_here", lambda name: False)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, write_photos: Callable[[Path, int], Path]) -> Path:
    """Three epochs on a folder of 60 photos in each of three classes."""
    folder = tmp_path_factory.mktemp("shrink")
    data = DataSpec(str(write_photos(folder / "photos", 60)), channels=1, holdout=0.2)
    compound.train(parse_network(WIDE), data, replace(RECIPE, epochs=3), folder / "whole")
    return folder / "whole"


@pytest.fixture(scope="module")
def budget(run: Path) -> Budget:
    return Budget(macs=0.5 * cost(open_run(run).network).macs)


@pytest.fixture(scope="module")
def found(run: Path, budget: Budget) -> Shrunk:
    return compound.shrink(run, budget, ways=("width", "shrink", "resolution", "prune"), recipe=RECIPE, turns=TURNS)


@pytest.mark.long
def test_every_way_is_within_the_budget_and_judged_by_images_that_none_has_seen(
    run: Path, budget: Budget, found: Shrunk
) -> None:
    assert {one.way for one in found.contenders} == {"width", "shrink", "prune"}
    assert found.left_out == {"resolution": "the same network as by shrink"}
    images, _ = data_of_run(open_run(run))
    held = images.holdout.identities()
    for one in found.contenders:
        assert budget.admits(budget.cost(one.run.network))
        seen = read_seen(one.run.images)
        assert seen is not None
        assert not np.isin(held, seen.of("train")).any()
        assert one.result.images == len(held)
        assert one.run.start is not None
        assert one.run.recipe.teacher == str(run)
        assert one.seconds is not None


@pytest.mark.long
def test_the_best_wins_and_it_alone_looks_at_the_test_images(found: Shrunk) -> None:
    accuracies = [one.result.top(1) for one in found.contenders]
    assert accuracies == sorted(accuracies, reverse=True)
    winner, loser, _ = found.contenders
    assert found.winner == winner
    assert found.test is not None
    assert found.test.images == len(data_of_run(winner.run)[0].test)
    assert winner.run.evaluation.is_file()
    assert not loser.run.evaluation.exists()
    assert found.against[loser.way].difference == pytest.approx(accuracies[0] - accuracies[1])
    told = json.loads((winner.run.path.parent / "shrink.json").read_text())
    assert told == json.loads(json.dumps(found.to_json()))
    assert told["winner"] == winner.way


@pytest.mark.slow
def test_the_network_as_it_was_competes_in_other_precisions_where_it_is_as_fast(
    run: Path, budget: Budget, found: Shrunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nncf")
    monkeypatch.setattr(timed, "is_here", lambda name: name == "openvino")
    again = compound.shrink(
        run, budget, found.winner.run.path.parent, ways=("width", "int8", "bf16"), recipe=RECIPE, turns=TURNS
    )
    files = {one.precision: one for one in (*again.contenders, *again.slower) if one.precision != "fp32"}
    assert set(files) == {"int8", "bf16"}
    assert files["int8"].place.name == "model-int8.xml"
    width = next(one for one in again.contenders if one.way == "width")
    for one in again.slower:
        assert (one.seconds or 0) > (width.seconds or 0)
    assert files["bf16"].result.top(1) == pytest.approx(again.whole.result.top(1), abs=0.1)


@pytest.mark.long
def test_what_was_trained_is_not_trained_again(run: Path, budget: Budget, found: Shrunk) -> None:
    before = {one.way: one.run.weights.stat().st_mtime_ns for one in found.contenders}
    again = compound.shrink(run, budget, ways=("width", "shrink"), recipe=RECIPE, turns=TURNS)
    for one in again.contenders:
        assert one.run.weights.stat().st_mtime_ns == before[one.way]
    assert again.winner.way == found.winner.way
    with pytest.raises(UsageError, match=r"width has a run of another network; give another --out"):
        compound.shrink(run, Budget(macs=0.25 * cost(open_run(run).network).macs), ways=("width",), recipe=RECIPE)


@pytest.mark.long
def test_what_cannot_be_shrunk_is_one_sentence(run: Path, budget: Budget, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="whole is within the budget as it is; give a smaller one"):
        compound.shrink(run, Budget(macs=1e9))
    with pytest.raises(UsageError, match="there is no way 'widht'; use some of compound, "):
        compound.shrink(run, budget, ways=("widht",))
    with pytest.raises(BudgetError, match="no way brings tiny within the budget: no tiny fits"):
        compound.shrink(run, Budget(macs=10), ways=("width",))
    whole = open_run(run)
    compound.train(whole.network, replace(whole.spec, holdout=0), RECIPE, tmp_path / "all")
    with pytest.raises(UsageError, match="holds out no images, and by others ways cannot be compared"):
        compound.shrink(tmp_path / "all", budget)


@pytest.mark.long
def test_the_command_says_a_row_a_way_and_can_be_resumed(cli: Any, run: Path, found: Shrunk) -> None:
    out = found.winner.run.path.parent
    macs = cost(open_run(run).network).macs // 2
    code, said, _ = cli("shrink", run, "--macs", macs, "--ways", "width,shrink", "--minutes", "0.01")
    assert code == 0
    assert f"accuracy of {found.whole.result.images} held-out images" in said
    assert f"next: compound export {found.winner.run.path} --to auto" in said
    assert json.loads((out / "command.json").read_text())["arguments"][0] == "shrink"
    code, again, err = cli("resume", out)
    assert code == 0
    assert "going on: compound shrink" in err
    assert again.splitlines()[-1] == said.splitlines()[-1]
