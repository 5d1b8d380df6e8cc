"""What a run directory remembers, and that those of older versions still open."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from compound import UsageError
from compound.data import DataSpec, open_data
from compound.execution import Execution
from compound.training import Start, open_run, start_run, train
from compound.training.module import Training
from compound.training.session import Session


def rewritten(path: Path, change) -> None:
    told = yaml.safe_load((path / "run.yaml").read_text())
    change(told["data"])
    (path / "run.yaml").write_text(yaml.safe_dump(told, sort_keys=False))


def test_the_question_of_the_data_is_kept_whole(tmp_path, network, recipe):
    asked = DataSpec("fashion6k", 1, 0.2, 7, Path("pictures"), True, "position")
    data = asked.open()
    assert data.spec == asked
    run = start_run(network, data, recipe, tmp_path / "run", seed=3)
    assert open_run(run.path).spec == run.spec == asked  # the splits' seed is not the run's
    assert open_data("fashion6k").spec == DataSpec("fashion6k", 1, by="position")  # channels as they came out
    assert data.without_holdout().spec == replace(asked, holdout=0)


def test_a_run_of_an_older_version_opens_with_what_was_the_default_then(tmp_path, network, recipe):
    data = DataSpec("fashion6k", seed=3).open()
    run = start_run(network, data, recipe, tmp_path / "run", seed=3).now("training")

    def older(told):
        for name in ("holdout", "split_seed", "root", "download", "split_by"):
            del told[name]
        told["fingerprint"] = data.fingerprint_of_labels()

    rewritten(run.path, older)
    assert open_run(run.path).spec == DataSpec("fashion6k", 1, 0.05, 3, by="position")
    assert start_run(network, data, recipe, run.path, seed=3, resume=True).path == run.path
    with pytest.raises(UsageError, match=r"data.holdout: 0.05 → 0.1"):
        start_run(network, open_data("fashion6k", holdout=0.1, seed=3), recipe, run.path, seed=3, resume=True)


def test_where_images_are_looked_for_may_change(tmp_path, network, recipe):
    data = open_data("fashion6k")
    run = start_run(network, data, recipe, tmp_path / "run").now("training")
    moved = replace(data, asked=replace(data.spec, root=tmp_path, download=True))
    assert start_run(network, moved, recipe, run.path, resume=True).spec == data.spec


@pytest.mark.long
def test_tensorboard_is_told_each_figure_once_an_epoch_and_what_the_run_was(tmp_path, network, data, recipe):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = start_run(network, data, replace(recipe, epochs=2), tmp_path / "run", seed=3)
    train(run, data, execution=Execution("cpu"), quiet=True)
    told = EventAccumulator(str(run.path / "tensorboard")).Reload()
    assert set(told.Tags()["scalars"]) == {"rate", "train_loss", "train_top1", "val_loss", "val_top1"}
    for name in told.Tags()["scalars"]:
        assert [event.step for event in told.Scalars(name)] == [6, 12], name
    plugin = told.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert all(word in plugin for word in (b"resolution", b"augment.flip", b"pictures", b"seed"))
    hparams = yaml.safe_load((run.path / "tensorboard" / "hparams.yaml").read_text())
    assert (hparams["network"], hparams["seed"], hparams["ema"]) == ("tiny", 3, 0.9)


@pytest.mark.long
def test_a_change_of_directory_on_the_way_divides_no_run(tmp_path, network, data, recipe, monkeypatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    fit = Session.fit

    def moved(session: Session, start: Start) -> Training:
        monkeypatch.chdir(tmp_path / "elsewhere")
        return fit(session, start)

    monkeypatch.setattr(Session, "fit", moved)
    run, _ = train(start_run(network, data, recipe, "run"), data, quiet=True)
    assert run.path == Path("run")
    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_run_stays_where_it_was_started_when_the_directory_changes(tmp_path, network, data, recipe, monkeypatch):
    """Between the start and the training, as a function that is told of doubts can do."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    run = start_run(network, data, recipe, "run")
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = run.now("stopped")
    for place in (run.folder, run.checkpoints, run.weights, run.images, run.metrics, run.evaluation, run.held_out):
        assert place.is_relative_to(tmp_path / "run")
    assert open_run(tmp_path / "run").state == "stopped"
    assert run.path == Path("run")
    monkeypatch.setattr(Session, "fit", lambda session, start: pytest.fail(str(session.run.path)))
    with pytest.raises(pytest.fail.Exception, match=str(tmp_path / "run")):
        train(run, data, quiet=True)
    assert not list((tmp_path / "elsewhere").iterdir())
