"""A network divided among processes: the training of whole copies, at a share of the memory, and checkpoints of all."""

import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import run_forked
from pytorch_lightning import Callback
from safetensors.torch import load_file
from training.conftest import CLASSES, pictures
from training.conftest import NETWORK as TINY

from compound.data import Augment, DataSet
from compound.errors import UsageError
from compound.execution import Execution
from compound.parallel import is_first, rank
from compound.training import RECIPES, session, start_run, storage, train
from compound.training.sharding import share

# 15 channels and 3 classes: shares of unequal size.
NETWORK = TINY.with_(stages=(TINY.stages[0], replace(TINY.stages[1], channels=15)))
DATA = DataSet("pictures", CLASSES, 1, pictures(96, 1), pictures(23, 2), pictures(59, 3))
SMALL = replace(RECIPES["small"], epochs=2, batch=16, rate=0.1, precision="fp32", augment=Augment(crop="none"))
RECIPE = {
    "sgd": replace(SMALL, ema=0.9),
    "rmsprop": replace(SMALL, optimizer="rmsprop", rate=0.01, select="best"),
    "adamw": replace(SMALL, optimizer="adamw", rate=0.01, recompute=("stage2",)),
    "lamb": replace(SMALL, optimizer="lamb", rate=0.01),
}
MORE = ("rmsprop", "adamw", "lamb")
STOP = 8  # steps, of 12


class Probe(Callback):
    """What a process holds, and a signal in the middle of the second epoch."""

    def __init__(self, stop):
        self.stop, self.held = stop, 0

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if self.stop and rank() == 1 and trainer.global_step == STOP - 1:
            os.kill(os.getpid(), signal.SIGTERM)

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        remembered = [value for each in trainer.optimizers[0].state.values() for value in each.values()]
        tensors = [*pl_module.model.parameters(), *remembered]
        self.held = sum(share(t).numel() for t in tensors if isinstance(t, torch.Tensor))


def trained(out, name, shard, stop=False, resume=False):
    """Numbers held by this process while it trained. Stops at step `STOP` where asked."""
    probe, before, execution = Probe(stop), session.Watch, Execution("cpu", shard=shard)
    session.Watch = lambda *given: with_probe(before(*given), probe)
    try:
        run = start_run(NETWORK, DATA, RECIPE[name], out, execution, resume=resume)
        train(run, DATA, execution=execution, quiet=True)
    except session.Interrupted:
        assert stop
    finally:
        session.Watch = before
    return probe.held


def with_probe(callback, probe):
    """The callback, with what the probe does before and after a step."""
    for name in ("on_train_batch_start", "on_train_batch_end"):
        own, more = getattr(callback, name), getattr(probe, name)
        setattr(callback, name, lambda *given, own=own, more=more: (own(*given), more(*given))[0])
    return callback


def main(*names):
    """What each of two processes does."""
    held = {}
    for name in names:
        for shard in (False, True):
            held[f"{name}-{shard}"] = trained(f"{name}-{shard}", name, shard)
    if "sgd" in names:
        trained("stopped", "sgd", True, stop=True)
    if is_first():
        Path("held.json").write_text(json.dumps(held))


def resume():
    trained("stopped", "sgd", True, resume=True)


if __name__ == "__main__":
    {"main": main, "resume": resume}[sys.argv[1]](*sys.argv[2:])


def processes(folder, *what):
    done = run_forked([__file__, *what], folder, 2)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharded")
    processes(folder, "main", "sgd")
    return folder


@pytest.fixture(scope="module")
def more_runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sharded")
    processes(folder, "main", *MORE)
    return folder


def rows(run):
    return np.loadtxt(run / "metrics.csv", delimiter=",", skiprows=1)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_training_is_that_of_whole_copies_and_a_process_holds_half(runs):
    check_halves(runs, "sgd")


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", MORE)
def test_so_it_is_with_other_optimisers(more_runs, name):
    check_halves(more_runs, name)


def check_halves(runs, name):
    whole, divided = (runs / f"{name}-{shard}" for shard in (False, True))
    np.testing.assert_allclose(rows(divided), rows(whole), rtol=2e-4)
    first, second = (load_file(run / "model.safetensors") for run in (whole, divided))
    assert {n: t.shape for n, t in second.items()} == {n: t.shape for n, t in first.items()}
    # A bias in front of another norm has no gradient but noise, of which Adam makes steps as long as any.
    tolerance = 5e-3 if name == "adamw" else 1e-4
    for tensor in first:
        torch.testing.assert_close(second[tensor], first[tensor], rtol=1e-3, atol=tolerance)
    held = json.loads((runs / "held.json").read_text())
    assert 0.5 <= held[f"{name}-True"] / held[f"{name}-False"] < 0.55


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_stopped_run_goes_on_in_one_process_or_in_several(runs, tmp_path):
    found = storage.newest(runs / "stopped" / "checkpoints")
    assert found.step == STOP
    assert all(type(tensor) is torch.Tensor for tensor in found.checkpoint["state_dict"].values())
    alone = tmp_path / "alone"
    shutil.copytree(runs / "stopped", alone)
    trained(alone, "sgd", False, resume=True)
    processes(runs, "resume")
    straight = runs / "sgd-True"
    assert (runs / "stopped" / "metrics.csv").read_text() == (straight / "metrics.csv").read_text()
    for name, tensor in load_file(straight / "model.safetensors").items():
        torch.testing.assert_close(load_file(runs / "stopped" / "model.safetensors")[name], tensor, rtol=0, atol=0)
    assert rows(alone)[:, 1].tolist() == [6, 12]  # its norms see the whole batch from then on
    np.testing.assert_allclose(rows(alone)[0], rows(straight)[0])


def test_what_cannot_be_divided_is_refused(tmp_path):
    said = "among processes, and here is one; start several with torchrun"
    with pytest.raises(UsageError, match=said):
        start_run(NETWORK, DATA, SMALL, tmp_path / "run", Execution("cpu", shard=True))
    assert not (tmp_path / "run").exists()
    run = start_run(NETWORK, DATA, SMALL, tmp_path / "run", Execution("cpu"))
    with pytest.raises(UsageError, match=said):
        train(run, DATA, execution=Execution("cpu", shard=True), quiet=True)
