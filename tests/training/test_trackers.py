"""What trackers are told: TensorBoard always (see test_run), MLflow offline, and nothing that is not installed."""

from dataclasses import replace
from importlib.util import find_spec

import pytest

from compound import UsageError
from compound.execution import Execution
from compound.training import Setup, start_run, train
from compound.training.setup import kept, setup_of


def test_a_tracker_that_is_not_there_is_said_before_anything_is_written() -> None:
    with pytest.raises(UsageError, match="--log 'mlfow' is no tracker; did you mean 'mlflow'"):
        Setup(log=("mlfow",))
    if find_spec("wandb") is None:
        with pytest.raises(UsageError, match="needs the package wandb, which is not installed; run: pip install wandb"):
            Setup(log=("wandb",))


def test_a_run_keeps_its_trackers(tmp_path, network, data, recipe) -> None:
    run = start_run(network, data, recipe, tmp_path / "run")
    assert setup_of(replace(run, setup=kept(Setup(log=("tensorboard",))))).log == ("tensorboard",)
    assert setup_of(replace(run, setup={})).log == ()  # of a run of an older version


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # of MLflow and what it uses
def test_mlflow_is_told_offline_each_figure_once_an_epoch(tmp_path, network, data, recipe) -> None:
    mlflow = pytest.importorskip("mlflow")
    run = start_run(network, data, replace(recipe, epochs=2), tmp_path / "run", seed=3)
    train(replace(run, setup=kept(Setup(log=("mlflow",)))).save(), data, execution=Execution("cpu"), quiet=True)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (told,) = client.search_runs([client.get_experiment_by_name("pictures").experiment_id])
    assert told.info.run_name == "run"
    assert told.data.params["network"] == "tiny"
    for name in ("rate", "train_loss", "train_top1", "val_loss", "val_top1"):
        assert [one.step for one in client.get_metric_history(told.info.run_id, name)] == [6, 12], name
