"""train, evaluate, predict and fit as a user runs them, on real images and on everything that can be wrong."""

import hashlib
import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

import compound
from compound.data import open_data
from compound.nn import read_weights
from compound.reporting.making import commands
from compound.training import finders, open_run
from compound.training.setup import setup_of

NETWORK = """
name: my-net
resolution: 14
stem: {block: conv, channels: 8, stride: 2}
stages:
- {block: fused-mbconv, kernel: 3, expand: 2, layers: 1, channels: 16, stride: 2}
- {block: mbconv, kernel: 5, expand: 2, layers: 2, channels: 16}
head: {channels: 32}
inputs: {mean: [0.3], std: [0.35], margin: 0}
"""
RECIPE = "base: small\nbatch: 16\nepochs: 12\nrate: 0.2\nprecision: fp32\n"


@pytest.fixture(scope="module")
def photos(tmp_path_factory, write_photos) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), 40)


@pytest.fixture(scope="module")
def yaml(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("given") / "my.yaml"
    (path.parent / "recipe.yaml").write_text(RECIPE)
    path.write_text(NETWORK)
    return path


@pytest.fixture(scope="module")
def trained(yaml, photos) -> Path:
    return compound.train(yaml, photos, yaml.parent / "recipe.yaml", yaml.parent / "run").run.path


@pytest.fixture(autouse=True)
def short_sweeps(monkeypatch):
    """That a rate is a good one is tests/training's."""
    monkeypatch.setattr(finders, "STEPS", 10)


@pytest.mark.long
def test_a_newcomers_yaml_is_trained_evaluated_and_used(cli, trained, photos, tmp_path):
    assert {path.name for path in trained.iterdir()} == {
        "run.yaml", "network.yaml", "images.csv", "metrics.csv", "checkpoints", "tensorboard", "model.safetensors",
            "evaluation.json",
    }  # fmt: skip
    evaluated = cli.json("evaluate", trained)
    written = json.loads((trained / "evaluation.json").read_text())
    assert evaluated["top1"] == written["top1"] > 0.5
    assert evaluated["images"] == 27  # about a fifth of 120
    predicted = cli.json("predict", trained, photos / "boot" / "0.png", photos / "shirt", "--top", 2)["predictions"]
    assert len(predicted) == 41
    assert predicted[0]["path"] == str(photos / "boot" / "0.png")
    assert [set(one) for one in predicted[0]["classes"]] == [{"index", "name", "probability"}] * 2
    assert sum(one["classes"][0]["name"] == "shirt" for one in predicted[1:]) > 20
    # The weights file alone is enough.
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((trained / "model.safetensors").read_bytes())
    (again,) = cli.json("predict", alone, photos / "boot" / "0.png", "--top", 2)["predictions"]
    assert [one["name"] for one in again["classes"]] == [one["name"] for one in predicted[0]["classes"]]
    assert again["classes"][0]["probability"] == pytest.approx(predicted[0]["classes"][0]["probability"], abs=1e-5)


@pytest.mark.long
def test_a_run_is_not_overwritten_and_resumes_only_as_itself(cli, trained, yaml, photos):
    recipe = ("--recipe", yaml.parent / "recipe.yaml", "-o", trained)
    code, err = cli.error("train", yaml, photos, *recipe)
    assert (code, err) == (
        2,
        f"error: {trained} already holds a run; go on with: compound resume {trained}; or choose another --out\n",
    )
    code, err = cli.error("train", yaml, photos, *recipe, "--resume", "--epochs", 3, "--seed", 1)
    assert code == 2
    assert "(then → now): data.split_seed: 0 → 1; recipe.epochs" in err
    assert "; recipe.epochs: 12 → 3; seed: 0 → 1; resume with the same" in err
    assert cli("train", yaml, photos, *recipe, "--resume")[0] == 0


@pytest.mark.long
def test_what_the_machine_decides_is_said_and_written(cli, yaml, photos, tmp_path):
    out = tmp_path / "decided"
    words = (
        "--recipe", yaml.parent / "recipe.yaml", "--epochs", 1, "--rate", "auto", "--training-memory", "600k", "--holdout", 12,
        "--patience", 3, "-o", out,
    )  # fmt: skip
    code, _, err = cli("train", yaml, photos, *words)
    assert code == 0, err
    assert "12 held out" in err
    assert "by a sweep" in err
    assert "predicted of 600kB" in err
    run = open_run(out)
    assert run.recipe.find == ("rate",)
    assert run.recipe.rate != 0.2
    assert run.recipe.recompute or run.recipe.accumulate > 1
    assert run.recipe.patience == 3


@pytest.mark.long
@pytest.mark.parametrize("how", ["--weights", pytest.param("--inherit", marks=pytest.mark.slow)])
def test_the_command_that_repeats_a_run_gives_the_same_bits(cli, trained, yaml, photos, tmp_path, monkeypatch, how):
    """Typed as the report prints it: the weights it started from, and what was measured then, are in it."""
    out = tmp_path / "a run"
    words = ("--recipe", yaml.parent / "recipe.yaml", "--epochs", 1, "--rate", "auto", "--holdout", 12, "--no-final")
    assert cli("train", yaml, photos, *words, "--deterministic", how, trained, "-o", out)[0] == 0
    run = open_run(out)
    weights = trained / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert run.start == {how[2:]: str(trained), "file": str(weights), "sha256": digest}
    lines = {command.what: command.line for command in commands(run)}
    monkeypatch.chdir(tmp_path)
    code, _, err = cli(*shlex.split(lines["Repeat"])[1:])
    assert code == 0, err
    again = open_run(tmp_path / "a run-again")
    assert (again.start, again.recipe) == (run.start, replace(run.recipe, find=()))
    assert setup_of(again).execution.deterministic
    (_, again), (_, first) = read_weights(again.weights), read_weights(run.weights)
    assert all(torch.equal(again[name], tensor) for name, tensor in first.items())
    assert not (tmp_path / "a run-again" / "evaluation.json").exists()
    assert "Resume" not in lines  # it is finished
    (photos / "shirt" / "0.png").rename(tmp_path / "away.png")
    code, err = cli.error("repeat", out, "-o", tmp_path / "other")
    (tmp_path / "away.png").rename(photos / "shirt" / "0.png")
    assert (code, "cannot go on: since the training 1 image (shirt/0.png) went" in err) == (2, True)
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_a_run_teaches_another(cli, trained, yaml, photos, tmp_path):
    words = ("--recipe", yaml.parent / "recipe.yaml", "--epochs", 2, "--teacher", trained, "-o", tmp_path / "student")
    assert cli.json("train", yaml, photos, *words)["images"] == 27
    assert open_run(tmp_path / "student").recipe.teacher == str(trained)
    (tmp_path / "other").mkdir()
    code, err = cli.error("train", yaml, "fashion6k", *words[:-1], tmp_path / "other")
    assert code == 2
    assert "knows boot, shirt, trouser (3 classes) and fashion6k has" in err


def test_every_verb_that_trains_has_the_same_options():
    from dataclasses import fields
    from inspect import signature

    from compound.cli.fit import fit
    from compound.cli.options.training import TrainingOptions
    from compound.cli.train import train

    names = {field.name for field in fields(TrainingOptions)}
    for verb in (train, fit):
        assert names <= set(signature(verb).parameters)
        assert "training" not in signature(verb).parameters


@pytest.mark.long
def test_fit_goes_the_whole_way(cli, yaml, photos, tmp_path):
    out = tmp_path / "fitted"
    words = ("--recipe", yaml.parent / "recipe.yaml", "--epochs", 2, "--baseline", yaml, "--macs", "300k", "-o", out)
    value = cli.json("fit", photos, *words)
    assert value["macs"] <= 300_000
    assert Path(value["report"]).read_text(encoding="utf-8").count("<img") >= 12
    plan = json.loads((out / "plan.json").read_text())
    assert plan["plan"]["binding"] == "macs"
    assert plan["baseline"]["name"] == "my-net"
    predictions = json.loads((out / "predictions.json").read_text())["predictions"]
    first = predictions[0]
    with Image.open(out / first["path"]) as sample:
        assert sample.size == (28, 28)
    assert first["truth"] in ("shirt", "trouser", "boot")


@pytest.mark.long
def test_an_estimate_says_what_it_would_take_and_writes_nothing(cli, yaml, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("compound.training.trial.Trial.seconds", lambda self, most: 0.5)
    words = ("--recipe", yaml.parent / "recipe.yaml", "--estimate")
    found = cli.json("fit", photos, "--baseline", yaml, "--macs", "100k", *words, "--folds", 3)
    data = open_data(str(photos))
    steps = len(data.train) // 16
    assert (found["epochs"], found["steps_an_epoch"], found["batch"], found["trainings"]) == (12, steps, 16, 4)
    assert found["seconds"] == round(0.5 * 12 * (steps + len(data.holdout) / 48) * 4)
    assert found["macs"] <= 100e3
    _, out, _ = cli("train", yaml, photos, *words, "--minutes", 3)
    assert "about 3 minutes (by measured steps)" in out
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_weights_of_another_library_predict_under_a_networks_name(cli, tmp_path, photos):
    from compound import ZOO
    from compound.nn import build

    model = build(ZOO["resnet-18"].with_(classes=4), seed=0)
    # Another library's names, in the order in which its layers were made.
    torch.save(
        {f"backbone.{i}.{name}": t for i, (name, t) in enumerate(model.state_dict().items())}, tmp_path / "a.pth"
    )
    code, err = cli.error("predict", "resnet18", photos / "boot" / "0.png", "--weights", tmp_path / "a.pth")
    assert code == 1  # every tensor is a layer of its own there
    assert "weights do not fit resnet-18" in err
    renamed = {"backbone." + name.replace("stage", "layer"): tensor for name, tensor in model.state_dict().items()}
    torch.save(renamed, tmp_path / "b.pth")
    (one,) = cli.json("predict", "resnet18", photos / "boot" / "0.png", "--weights", tmp_path / "b.pth")["predictions"]
    assert sorted(found["name"] for found in one["classes"]) == ["0", "1", "2", "3"]
    assert sum(found["probability"] for found in one["classes"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("train", "efficientnet-mimi", "fashion6k"), 2, "did you mean 'efficientnet-mini'"),
        (("train", "absent.yaml", "fashion6k"), 2, "cannot read network file absent.yaml"),
        (("train", "efficientnet-mini", "nowhere/at/all"), 2, "nowhere/at/all"),
        (("train", "efficientnet-mini", "fashion6"), 2, "fashion6k"),
        (("train", "efficientnet-mini", "EMPTY"), 2, "EMPTY"),
        (("train", "efficientnet-mini", "ONE"), 2, "class"),
        (("train", "efficientnet-mini", "fashion6k", "--epochs", "0"), 2, "epochs 0 trains nothing; use 1 or more"),
        (("train", "efficientnet-mini", "fashion6k", "--minutes", "-1"), 2, "minutes -1.0 is not a positive number"),
        (
            ("train", "efficientnet-mini", "fashion6k", "--recipe", "smal"),
            2,
            "use paper, modern, transfer, kornblith, small, fast, progressive, few",
        ),
        (("train", "efficientnet-mini", "fashion6k", "--rate", "0"), 2, "rate 0.0 is not a positive number"),
        (
            ("train", "efficientnet-mini", "fashion6k", "--rate", "high"),
            2,
            "--rate 'high' is neither a number nor auto",
        ),
        (
            ("train", "efficientnet-mini", "fashion6k", "--batch", "1.5"),
            2,
            "--batch '1.5' is neither a number nor auto",
        ),
        (
            ("train", "efficientnet-mini", "fashion6k", "--training-memory", "lots"),
            2,
            "--training-memory 'lots' is not a positive quantity",
        ),
        (
            ("train", "efficientnet-mini", "fashion6k", "--training-memory", "1MB"),
            2,
            "does not train in 1.00MB of memory",
        ),
        (
            ("train", "efficientnet-mini", "fashion6k", "--memory", "1MB", "--training-memory", "1MB"),
            2,
            "both are given; leave --memory out",
        ),
        (("train", "efficientnet-mini", "fashion6k", "--accumulate", "33"), 2, "use 1 to 32"),
        (("train", "efficientnet-mini", "fashion6k", "--holdout", "1.5"), 2, "holdout 1.5 is neither a share nor"),
        (("train", "efficientnet-mini", "fashion6k", "--patience", "0"), 2, "patience 0 stops before"),
        (("train", "efficientnet-mini", "fashion6k", "--teacher", "gone"), 1, "no weights file gone"),
        (("train", "efficientnet-mini", "fashion6k", "--device", "abacus"), 1, "device 'abacus' cannot be used"),
        (("train", "efficientnet-mini", "fashion6k", "--resume"), 2, "holds no run to resume"),
        (("fit", "fashion6k", "--macs", "10"), 2, "its smallest net"),
        (("fit", "fashion6k", "--macs", "lots"), 2, "--macs 'lots' is not a positive quantity"),
        (("fit", "fashion6k", "--baseline", "resnt-50"), 2, "did you mean 'resnet-50'"),
        (("evaluate", "EMPTY"), 2, "is not a run directory"),
        (("predict", "EMPTY", "x.png"), 2, "there is no image x.png"),
        (("predict", "efficientnet-b0", "EMPTY"), 2, "holds no images"),
        (("predict", "efficientnet-b0", "ONE"), 2, "for a network's name add --weights FILE"),
    ],
)
def test_bad_requests_are_one_sentence_and_leave_nothing(cli, tmp_path, monkeypatch, words, code, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "ONE" / "only").mkdir(parents=True)
    for number in range(3):
        Image.new("L", (8, 8), number).save(f"ONE/only/{number}.png")
    before = sorted(tmp_path.rglob("*"))
    out = ("-o", "out") if words[0] in ("train", "fit") else ()
    found, err = cli.error(*words, *out)
    lines = err.splitlines()
    assert found == code, err
    assert lines[-1].startswith("error: ")
    assert said in lines[-1]
    left = set(tmp_path.rglob("*")) - set(before)
    assert not [path for path in left if path.is_file()]


def test_the_old_name_of_an_option_works_with_a_warning(cli, tmp_path):
    code, err = cli.error("train", "efficientnet-mini", "fashion6k", "--memory", "1MB", "-o", tmp_path / "run")
    assert code == 2
    warning, error = err.splitlines()
    assert warning == "warning: --memory is now --training-memory; the old name goes with the next version"
    assert "does not train in 1.00MB of memory" in error


def test_unwritable_out(cli):
    code, err = cli.error("train", "efficientnet-mini", "fashion6k", "-o", "/proc/run")
    assert code == 1
    assert err.startswith("error: cannot write /proc/run: ")


@pytest.mark.slow
def test_damaged_images_are_named_counted_and_stop_the_run_when_many(cli, yaml, photos, tmp_path):
    import shutil

    folder = tmp_path / "damaged"
    shutil.copytree(photos, folder)
    for number in range(3, 15):
        (folder / "boot" / f"{number}.png").write_bytes(b"")
    words = (yaml, folder, "--recipe", yaml.parent / "recipe.yaml", "-o", tmp_path / "run")
    code, err = cli.error("train", *words)
    assert code == 1
    assert "boot/" in err
    assert "the file is empty" in err
    assert "more than 1.0%" in err
    assert not (tmp_path / "run").exists()  # it is said before anything is begun
    code, out, err = cli("train", *words, "--damaged-limit", "0.5", "--json")
    assert code == 0, err
    told = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    named = {Path(one["path"]).name for one in told["damaged"] + told["damaged_training"]}
    assert named == {f"{number}.png" for number in range(3, 15)}
    code, out, err = cli("predict", tmp_path / "run", folder / "boot" / "3.png", folder / "boot" / "20.png")
    assert code == 1
    assert "20.png" in out
    assert "1 of 2 images could not be read" in err
    assert "3.png" in err.splitlines()[-1]


@pytest.mark.slow
def test_test_images_are_kept_for_one_final_evaluation(cli, yaml, photos, tmp_path):
    """What `--no-final` leaves and `evaluate --final` then writes is what `--final` writes at once."""
    words = ("train", yaml, photos, "--recipe", yaml.parent / "recipe.yaml", "--epochs", 4, "--holdout", 0.2)
    code, out, err = cli(*words, "--no-final", "-o", tmp_path / "kept")
    assert code == 0, err
    assert out.startswith("held-out top-1 ")
    kept = open_run(tmp_path / "kept")
    told = json.loads(kept.held_out.read_text())
    best = torch.load(kept.checkpoints / "best.ckpt", weights_only=True)
    assert not kept.evaluation.exists()
    assert told["images"] == told["chosen"]["images"] == kept.data["images"]["holdout"]
    assert told["top1"] == pytest.approx(told["chosen"]["top1"]) == pytest.approx(best["val_top1"])
    assert told["chosen"]["epoch"] == best["epoch"]
    for verb in (("evaluate", kept.path), ("compare", kept.path, kept.path), (*words, "-o", kept.path, "--resume")):
        code, err = cli.error(*verb)
        assert code == 2
        assert "keeps its test images for the end" in err or "recipe.select: best → last" in err
    assert cli("report", kept.path, "-o", tmp_path / "kept.html")[0] == 0
    assert "kept for the end" in (tmp_path / "kept.html").read_text()
    code, err = cli.error("evaluate", kept.path, photos, "--final")
    assert (code, "leave all other out" in err) == (2, True)
    assert cli.json("evaluate", kept.path, "--final")["images"] == kept.data["images"]["test"]
    assert cli.json(*words, "--final", "-o", tmp_path / "once")["part"] == "test"
    written = [json.loads((tmp_path / name / "evaluation.json").read_text()) for name in ("kept", "once")]
    for one in written:
        assert one.pop("training_seconds") > 0
    assert written[0] == written[1]
    assert cli("report", kept.path, "-o", tmp_path / "kept.html")[0] == 0
    assert f"epoch {best['epoch']}, chosen by" in (tmp_path / "kept.html").read_text()
    for verb in (
        ("evaluate", kept.path, "--final"),
        ("evaluate", kept.path),
        (*words, "--final", "-o", kept.path, "--resume"),
    ):
        code, err = cli.error(*verb)
        assert code == 2
        assert "was evaluated on its test images already (top-1 " in err
    assert cli.json("evaluate", kept.path, "--again")["top1"] == written[0]["top1"]


def test_a_final_evaluation_needs_held_out_images(cli, yaml, photos, tmp_path):
    words = ("--recipe", yaml.parent / "recipe.yaml", "--holdout", 0, "-o", tmp_path / "none")
    code, err = cli.error("train", yaml, photos, *words, "--final")
    assert code == 2
    assert "--final chooses by held-out images and" in err
    assert not (tmp_path / "none").exists()
    code, err = cli.error("fit", photos, "--no-final")
    assert code == 2
    assert "use compound train" in err
