"""The training that is disturbed: a small network on some of the embedded images, with its steps logged."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from compound import ConvBlock, FusedMBConv, Head, Inputs, MBConv, Network, Stage
from compound.data import DataSet, open_data, subset
from compound.execution import Execution
from compound.quantity import Interval
from compound.training import RECIPES, Recipe, Safeguards, open_run, session, start_run, storage, train
from compound.training.checkpoints import Checkpoints

NETWORK = Network(
    name="subject",
    stem=Stage(ConvBlock(3), 1, 8),
    stages=(Stage(FusedMBConv(3, 2), 2, 8, 2), Stage(MBConv(3, 2), 2, 16, 2)),
    head=Head(16),
    resolution=14,
    dropout=0.1,
    survival=0.8,
    inputs=Inputs(mean=(0.3,), std=(0.35,), margin=0),
)


def recipe(epochs: int) -> Recipe:
    """With everything that a checkpoint must hold: momentum, an average, mixup."""
    return replace(RECIPES["small"], epochs=epochs, batch=32, ema=0.9, mixup=0.2, rate=0.2, precision="fp32")


def images(count: int = 512) -> DataSet:
    whole = open_data("fashion6k")
    parts = {part: subset(getattr(whole, part), range(count // 4)) for part in ("holdout", "test")}
    return replace(whole, train=subset(whole.train, range(count)), **parts)


def fork(work: Callable[[], object], errors: Path) -> int:
    """The id of a child process that does `work`; what it prints goes to `errors`."""
    sys.stdout.flush()
    sys.stderr.flush()
    if pid := os.fork():
        return pid
    code = 1
    try:
        file = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, 1)
        os.dup2(file, 2)
        work()
        code = 0
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


def train_logged(out: Path, data: DataSet, epochs: int, workers: int, die_at: int | None = None) -> None:
    """Start or resume the training in `out`, one line a step in OUT.steps.

    `die_at`: the process kills itself at this event of a checkpoint's writing: a part written, a link, a rename.
    """
    torch.set_num_threads(1)
    log_steps(out.with_suffix(".steps"))
    if die_at is not None:
        die_in_write(die_at)
    resume = (out / "run.yaml").exists() and open_run(out).state != "created"
    run = start_run(NETWORK, data, recipe(epochs), out, seed=3, resume=resume)
    train(run, data, execution=Execution("cpu", workers), safeguards=Safeguards(Interval(steps=5)), quiet=True)


def log_steps(path: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    class Logged(Checkpoints):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):  # type: ignore[no-untyped-def]
            os.write(file, f"{os.getpid()} {trainer.global_step}\n".encode())

    session.Checkpoints = Logged  # type: ignore[misc]


def die_in_write(at: int, after_saves: int = 1) -> None:
    """Let this process kill itself at event `at` of its checkpoint number `after_saves`, counted from 0."""
    state = {"events": 0, "saves": 0}

    def counted(function):  # type: ignore[no-untyped-def]
        def call(*values, **named):  # type: ignore[no-untyped-def]
            if state["saves"] > after_saves:
                if state["events"] == at:
                    os.kill(os.getpid(), signal.SIGKILL)
                state["events"] += 1
            return function(*values, **named)

        return call

    save = storage.save

    def saving(checkpoint, path, previous=None):  # type: ignore[no-untyped-def]
        state["saves"] += 1
        write, link, replace_ = storage.SummedFile.write, os.link, os.replace
        storage.SummedFile.write, os.link, os.replace = counted(write), counted(link), counted(replace_)
        try:
            save(checkpoint, path, previous)
        finally:
            storage.SummedFile.write, os.link, os.replace = write, link, replace_

    storage.save = saving
