"""A network in consecutive parts: balanced, and the same training as in one process."""

import json
import os
import signal
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from processes import run, run_forked
from safetensors.torch import load_file
from training.conftest import CLASSES, pictures
from training.conftest import NETWORK as TINY

import compound
from compound import ZOO, Scaling, scale
from compound.data import Augment, DataSet
from compound.errors import UsageError
from compound.execution import Execution
from compound.nn import build
from compound.notation import save_network
from compound.parallel import World, rank, size
from compound.training import RECIPES, Setup, open_run, session, start_run
from compound.training.balance import balanced, split
from compound.training.checkpoints import Checkpoints
from compound.training.pipeline import Pipeline
from compound.training.pipelined import in_parts, pipeline_split

STEPS, IMAGES, MICRO = 2, 8, 4
STOP = 8  # steps, of 12

PROCESS = """
import sys
import torch, torch.distributed as dist
from training.test_pipeline import library, verb

torch.set_num_threads(1)
dist.init_process_group("gloo")
name, schedule, *more = sys.argv[1:]
library(name, schedule)
if more:
    verb()
dist.destroy_process_group()
"""
NETWORK = TINY.with_(dropout=0.0, survival=1.0)
DATA = DataSet("pictures", CLASSES, 1, pictures(96, 1), pictures(23, 2), pictures(59, 3))
RECIPE = replace(
    RECIPES["small"], epochs=2, batch=16, rate=0.1, precision="fp32", augment=Augment(crop="none"), ema=0.9, mixup=0.2,
    accumulate=4, select="best",
)  # fmt: skip


def library(name, schedule):
    """A few steps of one of two processes; the second writes what came of them."""
    model = learner(name)
    pipeline = Pipeline(model, torch.device("cpu"), schedule)
    optimizer = torch.optim.SGD(pipeline.part.parameters(), 0.05, momentum=0.9)
    losses = []
    for number in range(STEPS):
        images, targets = (each.chunk(MICRO) for each in batch(number))
        optimizer.zero_grad()
        total = pipeline.step(images, lambda n, logits, y=targets: F.cross_entropy(logits, y[n]) / MICRO)
        losses.append(total.item())
        optimizer.step()
    state = pipeline.state_dict()
    if rank() == 1:
        torch.save({"losses": losses, "state": state}, "pipelined.pt")


def verb():
    """Trainings of one of two processes: with all random numbers, the same stopped and resumed, and without."""
    said = []
    for name, network in (("straight", TINY), ("stopped", TINY), ("plain", NETWORK)):
        with stopping() if name == "stopped" else nullcontext():
            piped(name, network, said)
    piped("stopped", TINY, said, resume=True)
    Path(f"said-{rank()}.json").write_text(json.dumps(said))


def piped(out, network, said=None, **how):
    setup = Setup(execution=Execution("cpu", pipeline=size() > 1), progress=True, **how)
    with suppress(session.Interrupted):
        compound.train(
            network, DATA, RECIPE, out, setup=setup, say=(lambda line: None) if said is None else said.append
        )


@contextmanager
def stopping():
    """One process is asked to stop in the midst of the second epoch."""
    before = Checkpoints.on_train_batch_end

    def ask(self, trainer, *given):
        if rank() == 1 and trainer.global_step == STOP:
            os.kill(os.getpid(), signal.SIGTERM)
        before(self, trainer, *given)

    Checkpoints.on_train_batch_end = ask
    try:
        yield
    finally:
        Checkpoints.on_train_batch_end = before


def small(name):
    """Little enough to train here, with all that matters: gates and residuals, or cells that read two maps."""
    if name == "efficientnet":
        net = scale(ZOO["efficientnet-b0"], Scaling(depth=0.3, width=0.25))
    else:
        net = scale(ZOO["amoebanet-b-6-512"], Scaling(depth=1 / 6, width=0.05))
    return net.with_(resolution=32, dropout=0.0, survival=1.0)


def learner(name):
    return build(small(name).with_(classes=5), seed=0).double().train().to(memory_format=torch.channels_last)


def batch(number):
    made = torch.Generator().manual_seed(number)
    images = torch.randn(IMAGES, 3, 32, 32, generator=made, dtype=torch.float64)
    return images.contiguous(memory_format=torch.channels_last), torch.randint(0, 5, (IMAGES,), generator=made)


def trained_alone(name):
    """The same steps in one process: micro-batch after micro-batch, gradients of their mean.

    In float64, because norms over two images at a time make much of the last digits.
    """
    model = learner(name)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    losses = []
    for number in range(STEPS):
        optimizer.zero_grad()
        parts = [F.cross_entropy(model(x), y) for x, y in zip(*(t.chunk(MICRO) for t in batch(number)), strict=True)]
        loss = torch.stack(parts).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, model.state_dict()


def processes(folder, name, schedule, *more):
    script = folder / "process.py"
    script.write_text(PROCESS)
    done = run_forked([script, name, schedule, *more], folder, 2, ("training.test_pipeline",))
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """What two processes did."""
    folder = tmp_path_factory.mktemp("pipelined")
    processes(folder, "amoebanet", "gpipe", "verb")
    return folder


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_two_processes_train_as_one(two):
    check_library(two, "amoebanet")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_so_they_do_by_the_other_schedule(tmp_path):
    processes(tmp_path, "efficientnet", "1f1b")
    check_library(tmp_path, "efficientnet")


def check_library(folder, name):
    found = torch.load(folder / "pipelined.pt", weights_only=True)
    losses, state = trained_alone(name)
    np.testing.assert_allclose(found["losses"], losses, rtol=1e-9)
    assert found["state"].keys() == state.keys()
    for tensor in state:
        torch.testing.assert_close(found["state"][tensor], state[tensor], rtol=1e-6, atol=1e-9)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_the_verb_trains_as_one_process_that_accumulates(two, tmp_path):
    piped(tmp_path / "alone", NETWORK)
    assert_alike(tmp_path / "alone", two / "plain", rtol=1e-5)
    assert heard(two, 0, "a pipeline, steps in 4 parts:\npart 0: stem to ") == 4
    assert heard(two, 1, "pipeline") == 0
    for name in ("top1", "loss", "images"):
        found, wanted = (
            json.loads((run / "evaluation.json").read_text())[name] for run in (two / "plain", tmp_path / "alone")
        )
        assert found == pytest.approx(wanted, rel=1e-4)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_pipeline_that_was_stopped_goes_on_to_the_same_bits(two):
    assert heard(two, 0, f"stopped/checkpoints/last.ckpt at step {STOP}") == 1
    assert_alike(two / "straight", two / "stopped", rtol=0)
    names = load_file(two / "plain" / "model.safetensors").keys()
    assert names == build(NETWORK).state_dict().keys()


def heard(folder, process, words):
    """How often a process said something with these words."""
    return sum(words in line for line in json.loads((folder / f"said-{process}.json").read_text()))


def assert_alike(first, second, rtol):
    one, other = ((run / "metrics.csv").read_text() for run in (first, second))
    np.testing.assert_allclose(*(np.loadtxt(each.splitlines()[1:], delimiter=",") for each in (one, other)), rtol=rtol)
    one, other = (load_file(run / "model.safetensors") for run in (first, second))
    for name, tensor in one.items():
        torch.testing.assert_close(other[name], tensor, rtol=10 * rtol, atol=10 * rtol)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_four_processes_of_torchrun(tmp_path):
    """The command on cells that read two maps: in a pipeline, sharded, and by one process."""
    save_network(small("amoebanet").with_(classes=3, inputs=TINY.inputs), tmp_path / "net.yaml")
    parts = {"train": pictures(96, 1), "test": pictures(59, 3)}
    images = {f"{part}_images": torch.stack([of.load(i)[0] for i in range(len(of))]) for part, of in parts.items()}
    np.savez(tmp_path / "some.npz", **images, **{f"{part}_labels": of.labels for part, of in parts.items()})
    (tmp_path / "recipe.yaml").write_text("{base: small, epochs: 2, batch: 32, rate: 0.01, augment: {crop: none}}")
    given = ["net.yaml", "some.npz", "--recipe", "recipe.yaml", "--device", "cpu", "--holdout", "0.2"]
    for out, count, more in (
        ("piped", 4, ["--pipeline", "--accumulate", "2"]),
        ("sharded", 4, ["--shard"]),
        ("alone", 0, ["--accumulate", "2", "--precision"]),
    ):
        if out == "alone":
            more.append(open_run(tmp_path / "piped").recipe.precision)  # as the first process found it for all
        done = run(["-m", "compound", "train", *given, "-o", out, *more], tmp_path, count)
        assert done.returncode == 0, done.stderr
        assert ("part 3: " in done.stderr) == (out == "piped")
        assert json.loads((tmp_path / out / "evaluation.json").read_text())["images"] == 59
    assert_alike(tmp_path / "alone", tmp_path / "piped", rtol=1e-3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "divides a network among processes, and here is one; start several with torchrun"),
        ({"optimizer": "lamb"}, "optimizer lamb: it scales by the gradients of all processes; take adamw"),
        ({"compile": "always"}, "compile always: leave one of them out"),
        ({"integers": True}, "--integers: no process has all of the network"),
        ({"training_memory": 1e9}, "--training-memory: it counts a whole network; leave it out"),
    ],
)
def test_what_a_pipeline_cannot_do(tmp_path, changes, said):
    recipe = replace(RECIPE, **changes)
    with pytest.raises(UsageError, match=said):
        pipeline_split(NETWORK, recipe, World(2 if changes else 1))
    if not changes:
        with pytest.raises(UsageError, match=said):
            start_run(NETWORK, DATA, recipe, tmp_path / "run", Execution("cpu", pipeline=True))
        assert not (tmp_path / "run").exists()


def test_micro_batches_are_four_a_process_where_norms_see_enough():
    found = [in_parts(replace(RECIPE, accumulate=parts, batch=batch), 2).accumulate for parts, batch in CASES]
    assert found == [8, 4, 2]


CASES = ((1, 128), (1, 16), (2, 128))


def test_spans_are_the_best_of_all(monkeypatch):
    rng = np.random.default_rng(0)
    for parts in (1, 2, 3, 5):
        for _ in range(20):
            costs = rng.integers(0, 50, rng.integers(parts, 9)).tolist()
            ends = balanced(costs, parts)
            assert len(ends) == parts
            assert ends[-1] == len(costs)
            every = (sorted(cut) for cut in combinations(range(1, len(costs)), parts - 1))
            assert worst(costs, ends) == min(worst(costs, [*cut, len(costs)]) for cut in every)


def worst(costs, ends):
    spans = list(zip([0, *ends[:-1]], ends, strict=True))
    assert all(a < b for a, b in spans)
    return max(sum(costs[a:b]) for a, b in spans)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("efficientnet-b0", 2), ("efficientnet-b0", 4), ("efficientnet-b7", 8), ("resnet-50", 4), ("nasnet-a-large", 4),
        ("amoebanet-b-6-512", 2), ("amoebanet-b-6-512", 4),
    ],
)  # fmt: skip
def test_parts_are_balanced_by_counted_cost(name, parts):
    found = split(ZOO[name], parts)
    assert found.imbalance < 0.15
    assert found.parts[0][0] == "stem"
    assert len(found.macs) == parts
    assert f"part {parts - 1}: " in str(found)


def test_more_parts_than_blocks_are_refused():
    with pytest.raises(UsageError, match="efficientnet-b0 has 18 blocks and cannot be split into 19 parts; use fewer"):
        split(ZOO["efficientnet-b0"], 19)
