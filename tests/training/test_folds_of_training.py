"""A run with folds: each image judged by a model that never saw it; what is done is not done again."""

import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from compound import Setup, UsageError, evaluate, train
from compound.data import DataSpec
from compound.data.folds import Folds
from compound.errors import InUseError
from compound.evaluation.folds import read_folds
from compound.training import Interrupted, Start, open_run
from compound.training.seen import read_seen
from compound.verbs.folds import finish_folds, taken_in_turn

THREE = Folds(3, r"(\d)\.png")
SETUP = Setup(seed=1)


@pytest.fixture(scope="module")
def where(tmp_path_factory):
    """Pictures of three classes in a folder, a test part among them."""
    from PIL import Image

    from tests.training.conftest import CLASSES, pictures

    folder = tmp_path_factory.mktemp("folds") / "photos"
    source = pictures(90, 1)
    for index, (image, label) in enumerate(zip(source.images, source.labels, strict=True)):
        place = folder / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(place / f"{index:03d}.png")
    return folder


def options(where, recipe, network, out):
    spec = DataSpec(str(where), channels=1, holdout=0.1)
    return (network, spec, replace(recipe, epochs=1, rate=0.5), out)


@pytest.fixture(scope="module")
def trained(where, tmp_path_factory):
    from compound.training import RECIPES
    from tests.training.conftest import NETWORK

    recipe = replace(RECIPES["small"], batch=16, precision="fp32", warmup_epochs=0)
    given = options(where, recipe, NETWORK, tmp_path_factory.mktemp("run") / "run")
    said = []
    return train(*given, setup=SETUP, folds=THREE, say=said.append), given, said


@pytest.mark.long
def test_every_image_is_judged_once_by_a_model_that_never_saw_it_nor_its_group(trained):
    found, (_, spec, _, out), said = trained
    table = found.folded
    assert table.result.images == 90
    assert len(set(table.names)) == 90
    names = np.array([name[-5] for name in table.names])
    for number in range(3):
        run = open_run(out / "folds" / str(number + 1))
        seen = read_seen(run.images)
        mine = table.identities[table.fold == number]
        assert set(seen.of("test").tolist()) == set(mine.tolist())
        assert not np.isin(mine, np.concatenate([seen.of("train"), seen.of("holdout")])).any()
        assert not set(names[table.fold == number]) & set(names[table.fold != number])
        # The model of the fold says the same when it is asked again.
        again = evaluate(run.path, spec).result
        assert again.top(1) == pytest.approx(table.accuracies()[number])
    assert sum("fold 2 of 3: top-1" in line for line in said) == 1
    assert found.to_json()["cross_validation"]["images"] == 90
    assert open_run(out).state == "done"


@pytest.mark.slow
def test_a_stopped_cross_validation_goes_on_where_it_was(trained, tmp_path):
    found, given, _ = trained
    out = given[3]
    before = {path: path.stat().st_mtime_ns for path in out.glob("folds/*/checkpoints/last.ckpt")}
    assert len(before) == 3
    again = train(*given, setup=replace(SETUP, resume=True), folds=THREE)
    assert {path: path.stat().st_mtime_ns for path in before} == before  # nothing was trained a second time
    assert again.folded.result.probabilities.equal(found.folded.result.probabilities)
    kept = read_folds(out)
    assert kept.result.probabilities.equal(found.folded.result.probabilities)
    with pytest.raises(UsageError, match="trained without other images"):
        train(*given, setup=replace(SETUP, resume=True), folds=replace(THREE, count=2))


@pytest.mark.long
def test_weights_that_learned_what_a_fold_is_judged_by_are_refused(trained, tmp_path):
    _, (network, spec, recipe, out), _ = trained
    with pytest.raises(UsageError, match="trained on images that folds are judged by"):
        train(network, spec, recipe, tmp_path / "x", setup=replace(SETUP, start=Start(weights=str(out))), folds=THREE)
    assert not (tmp_path / "x").exists()


def test_processes_share_folds_and_take_over_what_another_leaves(monkeypatch):
    monkeypatch.setattr("compound.verbs.folds.WAIT", 0.01)
    held, done, said = threading.Semaphore(3), [], []

    def work(number):
        if number == 1 and held.acquire(blocking=False):  # three times somebody else has it
            raise InUseError("fold 1 is in use by process 7")
        done.append(number)

    taken_in_turn(range(3), work, said.append)
    assert done == [0, 2, 1]
    assert said == ["fold 1 is in use by process 7"]


def test_a_stop_within_a_fold_names_the_run_that_goes_on_with_all(tmp_path, monkeypatch):
    def finish(part, *_):
        if part is not run:
            raise Interrupted(f"go on with: compound resume {part}")

    monkeypatch.setattr("compound.verbs.train.begin", lambda *given: (given[3],))
    monkeypatch.setattr("compound.verbs.train.finish", finish)
    monkeypatch.setattr("compound.verbs.folds.begun_alike", lambda *_: False)
    monkeypatch.chdir(tmp_path)
    run = SimpleNamespace(folder=Path("whole"), path=Path("whole"))
    divided = SimpleNamespace(folds=2, without=lambda number: number)
    with pytest.raises(Interrupted, match=r"stopped in fold 1 of 2 and saved; go on with: compound resume whole$"):
        finish_folds(divided, None, None, run, None, SETUP, print)
