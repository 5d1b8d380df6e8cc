"""The verbs as functions: what the command leaves and answers, from the same values, and not a word on the screen."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import compound
from compound import RECIPES, Budget, Execution, Judging, Setup, Sweep, UsageError, parse_network
from compound.runtimes import FORMATS
from compound.runtimes.graphs import need
from tests.tiny import TINY

BRIEF = {"batch": 16, "epochs": 2, "rate": 0.2, "precision": "fp32"}


@pytest.fixture(scope="module")
def photos(tmp_path_factory, write_photos) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), 20)


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("asked")
    (folder / "tiny.yaml").write_text(TINY)
    (folder / "brief.yaml").write_text(
        "\n".join(["base: small", *(f"{name}: {value}" for name, value in BRIEF.items())])
    )
    return {"network": folder / "tiny.yaml", "recipe": folder / "brief.yaml"}


@pytest.fixture(scope="module")
def trained(photos, asked, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "run"
    return compound.train(asked["network"], photos, asked["recipe"], out).run.path


def left_in(run: Path) -> dict[str, bytes | None]:
    """The files of a run by name, with their bytes where these do not tell the time."""
    timed = ("report.html", "run.yaml", "metrics.csv", "evaluation.json", "model.safetensors")
    files = [path for path in run.rglob("*") if path.is_file()]
    names = [
        path.relative_to(run) for path in files if path.relative_to(run).parts[0] not in ("checkpoints", "tensorboard")
    ]
    return {str(name): None if name.name in timed else (run / name).read_bytes() for name in names}


def numbers_in(weights: Path) -> bytes:
    """A weights file without its head, in which metadata stands in any order."""
    given = weights.read_bytes()
    return given[8 + int.from_bytes(given[:8], "little") :]


def judged(run: Path) -> dict[str, object]:
    return {
        name: value
        for name, value in json.loads((run / "evaluation.json").read_text()).items()
        if "seconds" not in name
    }


@pytest.mark.long
def test_fit_and_train_leave_the_same_run_by_either_way(cli, capfd, photos, asked, tmp_path):
    words = ("--recipe", asked["recipe"], "--baseline", asked["network"], "--macs", "60k", "-o", tmp_path / "command")
    answered = cli.json("fit", photos, *words)
    setup = Setup(execution=Execution("cpu"))
    fitted = compound.fit(
        photos,
        Budget(macs=6e4),
        replace(RECIPES["small"], name="brief", **BRIEF),
        tmp_path / "python",
        baseline=parse_network(TINY),
        setup=setup,
    )
    assert capfd.readouterr() == ("", "")
    assert left_in(tmp_path / "python") == left_in(tmp_path / "command")
    assert judged(tmp_path / "python") == judged(tmp_path / "command")
    weights = [numbers_in(tmp_path / way / "model.safetensors") for way in ("python", "command")]
    assert weights[0] == weights[1]
    places = ("out", "weights", "report")
    assert {n: v for n, v in fitted.to_json().items() if n not in places} == {
        n: v for n, v in answered.items() if n not in places
    }
    assert fitted.report == tmp_path / "python" / "report.html"
    assert fitted.plan is not None
    assert fitted.plan.binding == "macs"
    trained = compound.train(fitted.trained.run.network, photos, asked["recipe"], tmp_path / "trained", setup=setup)
    assert (trained.part, judged(trained.run.path)) == ("test", judged(tmp_path / "python"))


@pytest.mark.long
def test_resume_goes_on_from_the_newest_checkpoint_to_the_same_bits(photos, asked, tmp_path):
    whole = compound.train(asked["network"], compound.DataSpec(str(photos)), asked["recipe"], tmp_path / "run")
    weights = numbers_in(whole.run.weights)
    whole.run.weights.unlink()
    (whole.run.checkpoints / "last.ckpt").unlink()
    resumed = compound.resume(tmp_path / "run")
    assert numbers_in(resumed.run.weights) == weights
    assert resumed.to_json() == whole.to_json()
    with pytest.raises(UsageError, match="is not a run directory"):
        compound.resume(photos)


@pytest.mark.long
def test_what_cannot_be_is_raised_and_nothing_is_written(photos, asked, tmp_path):
    with pytest.raises(UsageError, match="--no-final leaves the test images alone"):
        compound.fit(photos, out=tmp_path / "run", setup=Setup(final=False))
    with pytest.raises(UsageError, match="there is no recipe 'smal'"):
        compound.train(asked["network"], photos, "smal", tmp_path / "run")
    compound.train(asked["network"], photos, asked["recipe"], tmp_path / "once")
    with pytest.raises(UsageError, match="already holds a run"):
        compound.train(asked["network"], photos, asked["recipe"], tmp_path / "once")
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_predict_says_and_writes_what_the_command_does(cli, capfd, trained, photos, tmp_path):
    folder = tmp_path / "some"
    folder.mkdir()
    for name in ("boot", "shirt"):
        (folder / f"{name}.png").write_bytes((photos / name / "0.png").read_bytes())
    answered = cli.json("predict", trained, folder, "--top", 2, "--submission", tmp_path / "command.txt")
    found = compound.predict(trained, folder, top=2, submission=tmp_path / "python.txt")
    assert found.to_json() == answered
    assert (tmp_path / "python.txt").read_bytes() == (tmp_path / "command.txt").read_bytes()
    with Image.open(folder / "boot.png") as image:
        image.save(tmp_path / "stream.mjpeg", format="JPEG")
    framed = cli.json("predict", trained, tmp_path / "stream.mjpeg", "--top", 2)
    with (tmp_path / "stream.mjpeg").open("rb") as stream:
        (frames,) = compound.predict_frames(trained, stream, top=2)
    assert frames.to_json() == framed
    (folder / "bad.png").write_bytes(b"no image")
    assert list(compound.predict(trained, folder).damaged) == [str(folder / "bad.png")]
    assert capfd.readouterr() == ("", "")


@pytest.mark.long
def test_every_file_that_can_be_written_is_and_each_other_is_named(cli, trained, monkeypatch, tmp_path):
    def missing(graph, path):
        need("no_such_package", extra="executorch")

    for name in ("onnx", "openvino", "coreml"):
        monkeypatch.delitem(FORMATS, name)
    monkeypatch.setitem(FORMATS, "executorch", replace(FORMATS["executorch"], write=missing))
    code, said, _ = cli("export", trained, "--to", "all", "--batch", 1, "-o", tmp_path)
    assert code == 0
    assert "torch.export runs on: wherever PyTorch runs" in said
    assert "not written: executorch: no_such_package is not installed; run: pip install 'compound[executorch]'" in said
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt2"]


@pytest.mark.long
def test_export_writes_and_tells_what_the_command_does(cli, capfd, trained, photos, tmp_path):
    answered = cli.json("export", trained, "--to", "torch", "--to", "hub", "--batch", 1, "-o", tmp_path / "command")
    found = compound.export(trained, ["torch", "hub"], batch=1, out=tmp_path / "python")
    assert [one | {"bytes": 0} for one in found.to_json()["files"]] == [one | {"bytes": 0} for one in answered["files"]]
    for way in ("command", "python"):
        names = {str(path.relative_to(tmp_path / way)) for path in (tmp_path / way).rglob("*") if path.is_file()}
        assert {"model.pt2", "hub/model.safetensors"} <= names
    assert found.hub == tmp_path / "python" / "hub"
    with pytest.raises(UsageError, match="there is no format 'onx'"):
        compound.export(trained, "onx")
    with pytest.raises(UsageError, match="does not say which images it knows"):
        compound.export(trained / "model.safetensors", "onnx")


@pytest.mark.long
def test_evaluate_and_compare_answer_and_write_what_the_command_does(cli, capfd, trained, photos, asked, tmp_path):
    words = ("--resolutions", "14,20", "--predictions", tmp_path / "command.csv")
    answered = cli.json("evaluate", trained, *words)
    sweep = Sweep((14, 20))
    found = compound.evaluate(trained, sweep=sweep, predictions=tmp_path / "python.csv")
    assert json.loads(json.dumps(found.to_json())) == answered
    assert (tmp_path / "python.csv").read_bytes() == (tmp_path / "command.csv").read_bytes()
    assert found.judged.own
    other = compound.train(
        asked["network"], photos, replace(RECIPES["small"], **BRIEF | {"rate": 0.05}), tmp_path / "other"
    )
    both = compound.compare(trained, other.run.path)
    assert json.loads(json.dumps(both.to_json())) == cli.json("compare", trained, other.run.path)
    with pytest.raises(UsageError, match="--recalibrate belongs to --resolutions"):
        Sweep(recalibrate=True)
    with pytest.raises(UsageError, match="--final is of a run"):
        compound.evaluate(trained, photos, judging=Judging(final=True))
    assert capfd.readouterr() == ("", "")


@pytest.mark.long
def test_report_and_explain_answer_what_the_command_does(cli, capfd, trained, photos, tmp_path):
    answered = cli.json("report", trained, "-o", tmp_path / "page.html", "--files", tmp_path / "files")
    names = {path.name for path in (tmp_path / "files").iterdir()}
    made = compound.report(trained, tmp_path / "page.html", files=tmp_path / "python")
    assert made.to_json() | {"files": None} == answered | {"files": None}
    assert {path.name for path in (tmp_path / "python").iterdir()} == names
    photo = photos / "boot" / "0.png"
    answered = cli.json("explain", trained, photo, "-o", tmp_path / "maps")
    assert json.loads(json.dumps(compound.explain(trained, photo, out=tmp_path / "maps").to_json())) == answered
    assert capfd.readouterr() == ("", "")
