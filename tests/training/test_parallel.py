"""Several processes train as one: the same batches and losses, an exact evaluation, and an end when one of them dies."""

import csv
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import environment, run, run_forked, words
from safetensors.torch import load_file

from compound import parallel
from compound.data import open_data, subset
from compound.errors import UsageError
from compound.execution import Execution
from compound.training import start_run, storage, train

# Without norm: batch norm sees each process's share, as everywhere, and so would differ.
NETWORK = """
name: plain
resolution: 14
stem: {block: conv, channels: 8, stride: 2}
stages:
- {block: fire, squeeze: 8, layers: 2, channels: 32}
head: {}
style: {activation: relu, norm: none}
inputs: {mean: [0.3], std: [0.35], margin: 0}
"""
RECIPE = """
base: small
epochs: 2
batch: 64
rate: 0.05
precision: fp32
augment: {crop: shift, shift: 1, flip: true, erase: 0.2}
"""

STEPS = 14  # an epoch: of 1,000 images a twentieth is held out


@pytest.fixture
def command(tmp_path):
    """`command(out, …)`: what follows `python` to train on 1,000 of the embedded images and be tested on 200."""
    (tmp_path / "net.yaml").write_text(NETWORK)
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    whole = open_data("fashion6k")
    some = {"train": subset(whole.train, range(1000)), "test": subset(whole.test, range(200))}
    images = {f"{part}_images": torch.stack([of.load(i)[0] for i in range(len(of))]) for part, of in some.items()}
    np.savez(tmp_path / "some.npz", **images, **{f"{part}_labels": of.labels for part, of in some.items()})
    given = ["net.yaml", "some.npz", "--recipe", "recipe.yaml", "--device", "cpu"]
    return lambda out, *more: ["-m", "compound", "train", *given, "-o", out, *more]


def rows(out):
    with (out / "metrics.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_two_processes_give_the_losses_of_one_and_count_every_image_once(command, tmp_path):
    odd = ("--json", "--holdout", 21)  # one process holds out more than the other, and its mean is not half of all
    one, two = (run_forked(command(name, *odd), tmp_path, count) for name, count in (("one", 1), ("two", 2)))
    assert (one.returncode, two.returncode) == (0, 0), one.stderr + two.stderr
    alone, shared = json.loads(one.stdout), json.loads(two.stdout)  # one object, said by one process
    assert shared["images"] == alone["images"] == 200
    for a, b in zip(rows(tmp_path / "one"), rows(tmp_path / "two"), strict=True):
        # Sums in another order: 1e-5 of the loss after some thirty steps.
        assert b == pytest.approx(a, rel=1e-5, abs=1e-12)
    assert shared["loss"] == pytest.approx(alone["loss"], rel=1e-5)
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name in first:
        # Weights near zero keep fewer digits than the loss.
        torch.testing.assert_close(first[name], second[name], rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_one_process_killed_ends_the_other_and_the_run_resumes(command, tmp_path):
    asked = words(command("out", "--epochs", 40, "--save-every", 5), 2)
    with subprocess.Popen(asked, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True) as training:
        last = tmp_path / "out" / "checkpoints" / storage.LAST
        wait_for(last.exists, 600)
        victim = max(children(training.pid))
        os.kill(victim, signal.SIGKILL)
        _, said = training.communicate(timeout=600)  # some seconds where nothing else runs
        assert training.returncode != 0
    assert 'Traceback (most recent call last):\n  File "/' not in said.partition("torch.distributed.elastic")[0]
    step = storage.newest(last.parent).step
    assert 0 < step < 40 * STEPS
    resumed = run(command("out", "--epochs", 40, "--resume"), tmp_path)  # in one process what began in two
    assert resumed.returncode == 0, resumed.stderr
    assert f"last.ckpt at step {step}" in resumed.stderr
    assert [row["step"] for row in rows(tmp_path / "out")] == [STEPS * (epoch + 1) for epoch in range(40)]


def children(pid):
    """The processes that `pid` started and that train."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed if b"compound" in Path(f"/proc/{child}/cmdline").read_bytes()]


def wait_for(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_cannot_be_shared_is_said_once(command, tmp_path):
    done = run(command("out", "--batch", 129), tmp_path, 2)
    assert done.returncode != 0
    said = "error: batch 129 cannot be shared by 2 processes; use a multiple of 2"
    assert done.stderr.splitlines().count(said) == 1


def test_a_share_is_the_same_for_all_and_somebody_has_every_held_out_image(monkeypatch):
    assert parallel.share_of(129, 0) == 129
    monkeypatch.setattr(parallel, "size", lambda: 2)
    assert parallel.share_of(128, 2) == 64
    for values, said in (((129, 0), "use a multiple of 2"), ((128, 1), "hold out more"), ((128, 9, 3), "accumulate 3")):
        with pytest.raises(UsageError, match=said):
            parallel.share_of(*values)


def test_synchronised_norms_need_a_gpu(tmp_path, network, data, recipe):
    started = start_run(network, data, recipe, tmp_path / "run")
    with pytest.raises(UsageError, match="--sync-norm needs GPUs: torch's SyncBatchNorm does not run on cpu; leave it"):
        train(started, data, execution=Execution("cpu", sync_norm=True), quiet=True)
