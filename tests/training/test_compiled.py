"""Compiled steps: where they are tried, that they train as ordinary ones do, and what happens where they cannot be."""

import csv
import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import compound.training.compiling as compiling
import compound.training.pace as pace
import compound.training.session as session
from compound import UsageError
from compound.data import Batch
from compound.execution import Execution
from compound.nn import build
from compound.nn.lean import LeanChain
from compound.training import Interrupted, start_run
from compound.training.compiled import Compiled
from compound.training.compiling import compile_seconds, fastest, find_compile
from compound.training.module import Training
from compound.training.trial import Trial
from tests.training.test_resume import StopAt, assert_same, run_once

CPU = Execution("cpu", workers=0)


@pytest.fixture
def small(network):
    """Half of it: C++ takes its time."""
    return network.with_(stages=network.stages[1:])


@pytest.fixture
def long(recipe):
    """Six steps an epoch of 0.1 s, for more than an hour."""
    return replace(recipe, epochs=10_000)


@pytest.fixture
def raced(monkeypatch):
    """Steps of 100 ms, compiled ones of 80 ms; what was raced is listed."""
    calls = []

    def race(network, data, recipe, execution, modes):
        calls.append(modes)
        return {"never": 0.1, "always": 0.08}

    monkeypatch.setattr(Trial, "seconds", lambda self, long_enough: 0.1)
    monkeypatch.setattr(compiling, "race", race)
    return calls


def test_a_long_training_is_tried_and_the_faster_way_taken(network, data, long, raced, capsys):
    assert find_compile(network, data, long, CPU) == ("always", pytest.approx(0.02))
    assert raced == [["always"]]
    said = capsys.readouterr().err.splitlines()
    assert said[1] == "a training step takes uncompiled 100 ms, compiled 80 ms: taken compiled"


def test_what_takes_less_than_fifty_times_the_compiling_is_not_tried(network, data, long, raced, capsys):
    seconds = compile_seconds(network, long)
    enough = 50 * seconds / 60
    assert find_compile(network, data, replace(long, minutes=1.01 * enough), CPU)[0] == "always"
    assert find_compile(network, data, replace(long, minutes=0.99 * enough), CPU)[0] == "never"
    epochs = round(50 * seconds / (6 * 0.1))
    for share, way in ((1.01, "always"), (0.99, "never")):
        assert find_compile(network, data, replace(long, epochs=round(share * epochs)), CPU)[0] == way
    assert len(raced) == 2
    # Each resolution is compiled by itself, and each size of the parts of a batch.
    assert compile_seconds(network, replace(long, grow_from=0.5, grow_stages=3)) == 3 * seconds
    assert compile_seconds(network, replace(long, accumulate=3)) == 2 * seconds
    assert compile_seconds(network, replace(long, accumulate=4)) == seconds


@pytest.mark.parametrize("fields", [{"epochs": 100}, {"minutes": 5.0}, {"training_memory": 8e9}])
def test_a_short_training_and_one_with_a_memory_are_not_even_measured(network, data, long, monkeypatch, fields):
    monkeypatch.setattr(Trial, "seconds", lambda *_: pytest.fail("measured"))
    monkeypatch.setattr(compiling, "race", lambda *_, **__: pytest.fail("tried"))
    assert find_compile(network, data, replace(long, **fields), CPU) == ("never", 0.0)


def test_several_processes_and_a_full_memory_are_not_tried(network, data, long, raced, monkeypatch):
    monkeypatch.setattr(compiling, "free_memory", lambda device: 100e3)
    assert find_compile(network, data, long, CPU)[0] == "never"
    monkeypatch.undo()
    monkeypatch.setattr(compiling, "size", lambda: 2)
    assert find_compile(network, data, long, CPU)[0] == "never"
    assert not raced


def test_what_is_hardly_faster_is_not_taken():
    assert fastest({"never": 1.0, "always": 0.98}) == "never"
    assert fastest({"never": 1.0, "always": 1.2}) == "never"
    assert fastest({"never": 1.0}) == "never"  # what cannot be compiled is not timed
    assert fastest({"never": 1.0, "always": 0.9, "graphs": 0.8}) == "graphs"


@pytest.mark.long
def test_a_failing_way_is_left_out_and_graphs_need_a_gpu(network, data, recipe, monkeypatch, capsys):
    monkeypatch.setattr(compiling, "PAIR_SECONDS", 0.0)
    original = Trial.step

    def step(self, batch, rate=None):
        if self.module.compiled:
            raise torch.OutOfMemoryError("no memory\nfor it")
        return original(self, batch, rate)

    monkeypatch.setattr(Trial, "step", step)
    assert list(compiling.race(network, data, recipe, CPU, ["always"])) == ["never"]
    assert capsys.readouterr().err == "steps compiled fail (no memory)\n"
    with pytest.raises(UsageError, match="compile graphs needs a GPU"):
        pace.settle(network, data, replace(recipe, compile="graphs"), CPU)


def test_the_choice_is_written_into_the_run_and_stays(tmp_path, network, data, recipe, monkeypatch):
    recipe = replace(recipe, compile="auto")
    monkeypatch.setattr(pace, "find_compile", lambda *_, **__: ("always", 0.01))
    run = start_run(network, data, recipe, tmp_path / "run", CPU).now("training")
    assert run.recipe.compile == "always"
    monkeypatch.setattr(pace, "find_compile", lambda *_, **__: pytest.fail("tried again"))
    resumed = start_run(network, data, recipe, tmp_path / "run", CPU, resume=True)
    assert resumed.recipe == run.recipe


def test_minutes_hold_more_epochs_of_faster_steps(network, data, recipe, monkeypatch):
    monkeypatch.setattr(Trial, "seconds", lambda self, long_enough: 0.1)
    monkeypatch.setattr(pace, "find_compile", lambda *_, **__: ("always", 0.05))
    timed = replace(recipe, minutes=60.0)
    ordinary, compiled = (pace.settle(network, data, replace(timed, compile=c)).epochs for c in ("never", "auto"))
    # An epoch is 6 steps and a validation of 24 images, which is as before: half a step.
    assert compiled / ordinary == pytest.approx(6.5 / 3.5, rel=0.01)


def by(backend):
    """`torch.compile` without a C++ compiler: the network is read and run as it was read."""
    original = torch.compile

    def compile(function, fullgraph, dynamic, options):
        return original(function, fullgraph=fullgraph, dynamic=dynamic, backend=backend)

    return compile


class Counting:
    """In place of `torch.compile`; lists what goes through it."""

    def __init__(self):
        self.shapes = []

    def __call__(self, function, **_):
        def run(model, images):
            self.shapes.append(tuple(images.shape))
            return function(model, images)

        return run


@pytest.mark.long
def test_only_parts_of_a_whole_batch_are_compiled(tmp_path, network, data, recipe, monkeypatch):
    counting = Counting()
    monkeypatch.setattr(torch, "compile", counting)
    growing = replace(recipe, epochs=2, compile="always", accumulate=3, grow_from=0.5, grow_stages=2, warmup_epochs=0)
    run_once(tmp_path / "run", network, data, growing)
    sizes = [(6, 1), (5, 1), (5, 1)] * 6
    assert counting.shapes == [(*size, side, side) for side in (6, 12) for size in sizes]
    module = Training(build(network), recipe, 6, 0)
    module.take_steps("always", 16)
    counting.shapes.clear()
    labels = torch.arange(15) % 3
    for count in (15, 16):  # of the first batch, one image was damaged
        labels = torch.arange(count) % 3
        module.training_step(Batch(data.train.images[:count], labels, labels, []), 0)
    assert counting.shapes == [(16, 1, 12, 12)]


@pytest.mark.slow
def test_a_compiled_run_resumes_in_the_same_bits_under_ordinary_names(tmp_path, network, data, recipe, monkeypatch):
    monkeypatch.setattr(torch, "compile", by("eager"))
    check_resume(tmp_path, network, data, replace(recipe, compile="always", epochs=2), monkeypatch)
    names = build(network).state_dict().keys()
    assert load_file(tmp_path / "parts" / "model.safetensors").keys() == names


def check_resume(tmp_path, network, data, recipe, monkeypatch):
    monkeypatch.setattr(Compiled, "_give_up", lambda self, model, error: pytest.fail(str(error)))
    whole, _ = run_once(tmp_path / "whole", network, data, recipe)
    monkeypatch.setattr(session, "Checkpoints", type("Stop", (StopAt,), {"step": 9}))
    with pytest.raises(Interrupted):
        run_once(tmp_path / "parts", network, data, recipe)
    monkeypatch.setattr(session, "Checkpoints", StopAt.__base__)
    torch.compiler.reset()  # as in a new process
    parts, _ = run_once(tmp_path / "parts", network, data, recipe, resume=True)
    assert_same(whole, parts)
    return whole


@pytest.mark.long
def test_what_cannot_be_compiled_goes_on_uncompiled_and_says_so_once(network, recipe, data, monkeypatch, capsys):
    def broken(graph, examples):
        raise RuntimeError("no compiler\nfound here")

    monkeypatch.setattr(torch, "compile", by(broken))
    logits = []
    for way in ("never", "always"):
        module = Training(build(network, seed=0), recipe, 6, 0)
        module.take_steps(way, 16)
        for _ in range(2):
            torch.manual_seed(1)
            logits.append(module(data.train.images[:16]))
    assert torch.equal(logits[0], logits[2])
    assert torch.equal(logits[1], logits[3])
    assert any(isinstance(each, LeanChain) for each in module.modules())
    assert capsys.readouterr().err == (
        "warning: training steps cannot be compiled (no compiler) and go on uncompiled\n"
    )


def gradients(network, recipe, data, way, **fields):
    module = Training(build(network, seed=0), replace(recipe, **fields), 6, 0)
    module.take_steps(way, 16)
    labels = torch.from_numpy(data.train.labels[:16])
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16, enabled=fields.get("precision") == "bf16"):
        result = module.training_step(Batch(data.train.images[:16], labels, labels, []), 0)
    result["loss"].backward()
    return module, result["loss"].item()


STEPS = {
    "fp32": {},
    "bf16": {"precision": "bf16"},
    "recomputed": {"recompute": ("stage1",)},
    "parts": {"accumulate": 3},
}


def check_step(network, recipe, data, **fields):
    """With the same dropout, stochastic depth and mixup, to rounding; statistics of norms are recorded once."""
    ordinary, expected = gradients(network, recipe, data, "never", **fields)
    compiled, loss = gradients(network, recipe, data, "always", **fields)
    assert compiled.compiled.works
    near = {"rtol": 0.1, "atol": 0.02} if "precision" in fields else {"rtol": 1e-3, "atol": 1e-5}
    assert loss == pytest.approx(expected, rel=near["rtol"])
    for ours, theirs in zip(compiled.parameters(), ordinary.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, **near)
    for ours, theirs in zip(compiled.buffers(), ordinary.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, **near)


@pytest.mark.long
def test_recomputed_stages_are_compiled_too(network, recipe, data, monkeypatch):
    monkeypatch.setattr(torch, "compile", by("aot_eager"))
    check_step(network, recipe, data, recompute=("stage1", "stage2"))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", STEPS)
def test_a_compiled_step_is_the_ordinary_one(small, recipe, data, kind):
    check_step(small, recipe, data, **STEPS[kind])


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_compiled_run_resumes_in_the_same_bits(tmp_path, small, data, recipe, monkeypatch):
    """By torch's own compiler, at two resolutions."""
    compiled = replace(recipe, compile="always", epochs=2, grow_from=0.5, grow_stages=2, warmup_epochs=0.0)
    whole = check_resume(tmp_path, small, data, compiled, monkeypatch)
    ordinary, _ = run_once(tmp_path / "ordinary", small, data, replace(compiled, compile="never"))
    a, b = (list(csv.DictReader(io.StringIO(run.metrics.read_text()))) for run in (whole, ordinary))
    for ours, theirs in zip(a, b, strict=True):
        assert float(ours["train_loss"]) == pytest.approx(float(theirs["train_loss"]), rel=1e-2)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_without_a_compiler_the_command_trains_and_says_why(tmp_path):
    environment = os.environ | {
        "CXX": "/nowhere/g++",
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    words = ["train", "efficientnet-mini", "fashion6k", "--compile", "always", "--epochs", "1", "--batch", "1000"]
    done = subprocess.run(
        [sys.executable, "-m", "compound", *words, "--resolution", "16", "-o", str(tmp_path / "run")],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("cannot be compiled") == 1
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_trial_compiles_and_measures(small, data, long, monkeypatch, capsys):
    monkeypatch.setattr(compiling, "PAIR_SECONDS", 0.0)
    way, saved = find_compile(small, data, long, CPU, 10.0)
    assert (way == "always") == (saved > 0)
    assert "compiled" in capsys.readouterr().err
