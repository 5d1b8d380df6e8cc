"""What a training survives, in short; `python -m benchmarks.faults` is the long form."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import compound.training.session as session
from benchmarks.faults import damage
from compound.data import subset
from compound.errors import CompoundError, UsageError
from compound.execution import Execution
from compound.files import locked
from compound.quantity import Interval, interval
from compound.training import Safeguards, open_run, start_run, storage, train
from compound.training.divergence import Diverged

CPU = Execution("cpu")

ROOT = Path(__file__).parents[2]


def begin(out, network, data, recipe, **options):
    return start_run(network, data, recipe, out, seed=3, **options)


@pytest.mark.long
def test_killed_runs_end_in_the_same_bits(tmp_path):
    # In a process of its own: the campaign forks, which no process may that has run a backward pass.
    script = (
        "import compound.spared, json, sys; from pathlib import Path; from benchmarks.faults import kills;"
        "import torch.utils.tensorboard;"  # here, and not in every fork; by this seed one life of five has workers
        "print(json.dumps(kills.campaign(Path(sys.argv[1]), kills=5, epochs=4, seed=9)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["kills"], found["kills_in_writes"], found["unreadable_checkpoints"]) == (5, 1, 0)
    assert found["kills_while_training"] > 0
    assert found["identical"] == dict.fromkeys(found["identical"], True)


def test_every_changed_byte_and_every_cut_is_noticed_and_the_previous_checkpoint_taken(tmp_path):
    assert damage.detected(tmp_path, flips=60, cuts=20) == {
        "flips": 60, "flips_detected": 60, "cuts": 20, "cuts_detected": 20,
    }  # fmt: skip


def test_a_disk_that_refuses_leaves_the_checkpoint_before(tmp_path):
    said = damage.refused(tmp_path)
    assert "File too large" in said["quota reached within the file"]
    assert "bytes free" in said["quota reached within the file"]
    assert "Permission denied" in said["no permission"]
    assert said["full disk"] is None or "No space left on device, 0 bytes free" in said["full disk"]
    assert said["read-only file system"] is None or "Read-only" in said["read-only file system"]


def test_plain_torch_reads_a_checkpoint(tmp_path):
    path = damage.pair(tmp_path)
    assert torch.equal(
        torch.load(path, weights_only=True)["state_dict"]["weight"], storage.load(path)["state_dict"]["weight"]
    )


@pytest.mark.long
def test_a_damaged_last_checkpoint_is_said_and_set_aside(tmp_path, network, data, recipe, capsys):
    run = begin(tmp_path / "run", network, data, recipe)
    train(run, data, execution=CPU, quiet=True)
    last = run.checkpoints / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-100])
    train(begin(tmp_path / "run", network, data, recipe, resume=True), data, execution=CPU, quiet=True)
    said = capsys.readouterr().err
    assert f"warning: {last} is cut short" in said
    assert "going on from" in said
    assert "previous.ckpt at step 18" in said  # six steps make an epoch, four epochs the training
    assert {path.name for path in run.checkpoints.iterdir()} == {
        ".lock", "last.ckpt", "last.ckpt.damaged", "previous.ckpt",
    }  # fmt: skip
    for path in run.checkpoints.glob("*.ckpt"):
        path.write_bytes(b"nothing")
    with pytest.raises(CompoundError, match=r"last\.ckpt is cut short.*previous\.ckpt.*remove"):
        train(begin(tmp_path / "run", network, data, recipe, resume=True), data, execution=CPU, quiet=True)


def test_two_trainings_of_one_run_at_once_are_refused(tmp_path, network, data, recipe):
    run = begin(tmp_path / "run", network, data, recipe)
    run.checkpoints.mkdir()
    code = (
        "import sys; from pathlib import Path; from compound.files import locked\n"
        "with locked(Path(sys.argv[1]), 'it'): print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(run.checkpoints / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(UsageError, match=f"run is in use by process {other.pid} on .*; wait for its end"):
            train(run, data, execution=CPU, quiet=True)
        other.kill()
    with locked(run.checkpoints / ".lock", "run"):  # death has released it
        pass


def test_a_changed_run_is_refused_with_what_changed(tmp_path, network, data, recipe):
    run = begin(tmp_path / "run", network, data, recipe)
    run.now("training")
    fewer = replace(data, train=subset(data.train, range(90)))
    renamed = replace(data, classes=("bars", "columns", "rings"))
    changes = [
        ((network.with_(resolution=14), data, recipe), "network.resolution: 12 → 14;"),
        ((network, data, replace(recipe, rate=0.3, ema=0.0)), r"recipe\.rate: 0\.8 → 0\.3; recipe\.ema: 0\.9 → 0\.0;"),
        (
            (network, fewer, recipe),
            r"run cannot go on: since the training 6 images \(pictures-1\[90\], .* went; restore",
        ),
        ((network, renamed, recipe), r"data\.classes: 3 → 3, without dots and with rings;"),
    ]
    for changed, said in changes:
        with pytest.raises(UsageError, match=said):
            begin(tmp_path / "run", *changed, resume=True)
    assert begin(tmp_path / "run", network, data, recipe, resume=True) == run.now("training")


def poisoned(step):
    """A training of which one step has a finite loss and a gradient that is none, until the rate is halved."""

    class Poisoned(session.Training):
        def on_after_backward(self):
            if self.trainer.global_step == step and self.recipe.rate > 0.5:
                self.model.classifier[-1].bias.grad[1] = float("inf")

    return Poisoned


@pytest.mark.long
def test_a_gradient_that_is_no_number_stops_before_the_update(tmp_path, network, data, recipe, monkeypatch):
    monkeypatch.setattr(session, "Training", poisoned(8))
    run = begin(tmp_path / "run", network, data, recipe)
    with pytest.raises(
        Diverged, match=r"the gradients are no longer numbers at step 8 with rate 0\.\d+ on pictures-1\["
    ):
        train(run, data, execution=CPU, safeguards=Safeguards(Interval(steps=1)), quiet=True)
    assert storage.newest(run.checkpoints).step == 8  # what eight steps made, and nothing of the ninth
    told = json.loads((run.path / "diverged.json").read_text())
    assert told["step"] == 8
    order = session.make_loader(
        data.train, session.Preprocessing.of(network), 16, shuffle=True, drop_last=True, seed=3, epoch=1
    )
    third = list(order)[2]
    assert told["images"] == [data.train.path(int(index)) for index in third.indices]


@pytest.mark.long
def test_retry_goes_back_and_halves_the_rate(tmp_path, network, data, recipe, monkeypatch, capsys):
    monkeypatch.setattr(session, "Training", poisoned(8))
    run, _ = train(
        begin(tmp_path / "run", network, data, recipe),
        data,
        execution=CPU,
        safeguards=Safeguards(on_nan="retry"),
        quiet=True,
    )
    assert "going back, with the rate × 0.5" in capsys.readouterr().err
    assert open_run(run.path).lowered == 1
    rows = storage.newest(run.checkpoints).checkpoint["callbacks"]["Metrics"]["rows"]
    peak = recipe.peak_rate
    assert max(row["rate"] for row in rows[:1]) > peak / 2 > max(row["rate"] for row in rows[1:])
    assert len(rows) == 4
    resumed = begin(run.path, network, data, recipe, resume=True)  # the recipe asked for is the same
    assert resumed.lowered == 1


def test_a_rate_beyond_all_numbers_is_given_up_after_three_halvings(tmp_path, network, data, recipe, capsys):
    run = begin(tmp_path / "run", network, data, replace(recipe, rate=1e12))
    with pytest.raises(Diverged, match="lower --rate"):
        train(run, data, execution=CPU, safeguards=Safeguards(on_nan="retry"), quiet=True)
    assert capsys.readouterr().err.count("going back") == 3
    assert storage.newest(run.checkpoints) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10m", Interval(seconds=600)),
        ("1.5h", Interval(seconds=5400)),
        ("30s", Interval(seconds=30)),
        ("500", Interval(steps=500)),
        ("500 steps", Interval(steps=500)),
    ],
)
def test_intervals(text, expected):
    assert interval(text) == expected


@pytest.mark.parametrize("text", ["", "0", "-1m", "1.5", "soon", "1d", "1.2.3s"])
def test_intervals_that_are_none(text):
    with pytest.raises(UsageError, match="10m, 30s or 500"):
        interval(text, "--save-every")


def test_a_start_killed_half_way_is_started_again(tmp_path, network, data, recipe):
    out = tmp_path / "run"
    begin(out, network, data, recipe)
    (out / "run.yaml").unlink()
    (out / ".run.yaml.abc.tmp").write_text("half")
    begin(out, network, data, recipe)
    begin(out, network, data, recipe, resume=True)  # nothing was trained: the same as a start
    (out / "run.yaml").unlink()
    with pytest.raises(UsageError, match="not an empty folder"):
        begin(out, network.with_(resolution=14), data, recipe)
