"""A run that was stopped goes on with its name alone, and a second one of the same command has a place of its own."""

import json
import os
import shlex
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

import compound
from compound import RECIPES, Execution, Setup, Sharing, Start, UsageError, parse_network
from compound.cli.resume import kept_command
from compound.training import Interrupted, Run, load_recipe, open_run, session
from compound.training.setup import kept, setup_of
from tests.tiny import TINY

RECIPE = "base: small\nbatch: 16\nepochs: 3\nrate: 0.2\nprecision: fp32\n"


class StopAt(session.Checkpoints):
    """Asks this process to stop while the step `step` is under way."""

    step = 2
    number = signal.SIGTERM

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step:
            os.kill(os.getpid(), self.number)


@pytest.fixture(scope="module")
def photos(tmp_path_factory, write_photos) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), 20)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "brief.yaml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stopped(cli, monkeypatch, *words: object) -> str:
    """What a command says that is asked to stop in its second epoch."""
    with monkeypatch.context() as patched:
        patched.setattr(session, "Checkpoints", StopAt)
        code, out, err = cli(*words)
    assert (code, out) == (130, "")
    return err


@pytest.mark.long
def test_the_printed_hint_finishes_a_fit_in_the_same_bits(cli, photos, monkeypatch):
    words = ("fit", photos, "--baseline", "tiny.yaml", "--recipe", "brief.yaml", "--epochs", 2, "--workers", 0)
    assert cli(*words, "-o", "whole")[0] == 0
    said = stopped(cli, monkeypatch, *words, "-o", "a run")
    assert "SIGTERM: finishing this step, then saving" in said
    assert "error:" not in said
    hint = said.splitlines()[-1]
    assert hint == "stopped at step 3 and saved; go on with: compound resume 'a run'"
    code, out, err = cli(*shlex.split(hint.partition("with: ")[2])[1:])
    assert code == 0, err
    assert "report a run/report.html" in out
    whole, again = (load_file(f"{run}/model.safetensors") for run in ("whole", "a run"))
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert {path.name for path in Path("whole").iterdir()} == {path.name for path in Path("a run").iterdir()}
    assert json.loads(Path("whole/plan.json").read_text()) == json.loads(Path("a run/plan.json").read_text())
    code, err = cli.error("resume", "a run")
    assert (code, err) == (2, "error: a run is finished; see it with: compound report 'a run'\n")
    Path("a run/report.html").unlink()  # as if it had been killed before the page
    assert cli.json("resume", "a run")["report"] == "a run/report.html"


@pytest.mark.long
def test_a_run_goes_on_as_it_was_set_up(cli, photos, monkeypatch):
    words = ("train", "tiny.yaml", photos, "--recipe", "brief.yaml", "--holdout", 12, "--no-final", "--workers", 0)
    stopped(cli, monkeypatch, *words, "--on-nan", "go-on", "--save-every", "7steps", "-o", "kept")
    found = setup_of(open_run("kept"))
    assert (found.final, found.safeguards.on_nan, found.safeguards.save_every.steps) == (False, "go-on", 7)
    answer = cli.json("resume", "kept", "--device", "cpu")
    assert answer["part"] == "held-out"
    assert not Path("kept/evaluation.json").exists()  # the test images are still kept for later


@pytest.mark.long
def test_the_same_command_again_has_a_place_of_its_own(cli, photos, monkeypatch):
    words = ("train", "tiny.yaml", photos, "--recipe", "brief.yaml", "--epochs", 1)
    first, second = f"runs/tiny-{photos.name}", f"runs/tiny-{photos.name}-2"
    assert cli.json(*words)["out"] == first
    before = Path(first, "run.yaml").read_bytes()
    said = stopped(cli, monkeypatch, *words, "--epochs", 3)
    assert f"{first} is there already (compound runs lists runs); this one goes to {second}\n" in said
    assert cli.json(*words, "--epochs", 3, "--resume")["out"] == second
    assert cli.json(*words)["out"] == f"{second[:-1]}3"
    assert Path(first, "run.yaml").read_bytes() == before
    code, err = cli.error(*words, "-o", first)
    assert (code, f"{first} already holds a run" in err) == (2, True)


@pytest.mark.long
def test_a_run_that_was_stopped_before_its_first_step_knows_its_weights(photos, monkeypatch, here):
    start = compound.train("tiny.yaml", photos, "brief.yaml", "start").run

    def stop(*given: object) -> None:
        raise KeyboardInterrupt

    setup = Setup(start=Start(weights=start.path))
    monkeypatch.setattr(session, "find_checkpoint", stop)
    with pytest.raises(KeyboardInterrupt):
        compound.train("tiny.yaml", photos, "brief.yaml", "run", setup=setup)
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert open_run("run").state == "created"
    resumed = compound.resume("run").run
    whole = compound.train("tiny.yaml", photos, "brief.yaml", "whole", setup=setup).run
    assert resumed.start == whole.start
    again = load_file(resumed.weights)
    assert all(torch.equal(tensor, again[name]) for name, tensor in load_file(whole.weights).items())


def test_what_is_kept_of_a_setup_is_plain_and_lasts(here):
    assert kept(Setup(seed=3, resume=True, progress=True)) == {}
    assert kept(Setup(Start(weights=Path("a.pth")))) == {"start": {"weights": "a.pth"}}
    of = parse_network(TINY)
    run = Run(here, of, RECIPES["small"], {}, 3, setup=kept(Setup(Start("a.pth", of=of))))
    assert setup_of(run) == Setup(Start("a.pth", of=of), seed=3, resume=True)
    assert yaml.safe_load(yaml.safe_dump(run.setup)) == run.setup
    assert kept(Setup(execution=Execution(deterministic=True))) == {"execution": {"deterministic": True}}


def same_weights(one: Path, other: Path) -> bool:
    first, second = (load_file(run / "model.safetensors") for run in (one, other))
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.long
def test_a_study_goes_on_by_its_folder(cli, photos, here):
    words = ("--recipe", "brief.yaml", "--epochs", 1, "--seeds", 2, "--ratio", 2, "--workers", 1, "--device", "cpu")
    study = cli.json("study", "tiny.yaml", photos, *words, "-o", "a study")
    again = cli.json("resume", "a study")
    assert {**again, "seconds": 0} == {**study, "seconds": 0}
    of_a_seed = next(Path("a study/runs").glob("*-seed-1"))  # its weights' seed is not that of its images
    repeated = compound.repeat(of_a_seed, "alone").run
    assert same_weights(of_a_seed, repeated.path)


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        (["study", "net", "photos", "-o", "else", "--seeds", "2"], "study net photos --seeds 2 --out there"),
        (["search", "transfer", "net", "photos", "--out=else"], "search transfer net photos --out there"),
        (["train", "net", "photos"], "holds no search and no study"),
        ([], "holds no search and no study"),
        (["study", "--storage", "postgresql://me:secret@host/db"], "the password of its storage is not kept"),
    ],
)
def test_the_command_of_a_search_is_asked_again_in_its_folder(here, kept, asked):
    folder = Path("there")
    folder.mkdir()
    sharing = Sharing(command=tuple(kept) or ("",))
    sharing.search(None, folder / "search.journal", 1, None)
    if " --out there" in asked:
        assert kept_command(folder) == asked.split()
    else:
        with pytest.raises(UsageError, match=asked):
            kept_command(folder)
    assert "secret" not in (folder / "command.json").read_text()


@pytest.mark.slow
def test_a_run_with_folds_goes_on_with_them(photos, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(session, "Checkpoints", StopAt)
        with pytest.raises(Interrupted):
            compound.train("tiny.yaml", photos, "brief.yaml", "run", folds=2)
    assert setup_of(open_run("run")) == Setup(resume=True)
    resumed = compound.resume("run")
    assert resumed.folded is not None
    assert Path("run/folds/out-of-fold.npz").exists()
    with pytest.raises(UsageError, match="run is finished"):
        compound.resume("run")
    assert compound.repeat("run", "again").folded is not None
    for one in ("", "folds/1", "folds/2"):
        assert same_weights(Path("run", one), Path("again", one))


@pytest.mark.long
def test_a_run_by_minutes_is_repeated_with_its_epochs(photos):
    recipe = replace(load_recipe("brief.yaml"), minutes=0.01)
    run = compound.train("tiny.yaml", photos, recipe, "run").run
    again = compound.repeat("run", "again").run
    assert (again.recipe.minutes, again.recipe.epochs) == (None, run.recipe.epochs)
    assert same_weights(run.path, again.path)
