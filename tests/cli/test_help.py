"""Help: verbs in groups, everyday options first, examples that the command reads, words that a shell completes."""

import shlex
import subprocess
import sys

import pytest
from cli.conftest import Cli
from typer.main import get_command

from compound import __version__
from compound.cli import VERBS, application
from compound.cli.help.arrangement import GROUPS, PANELLED, PANELS
from compound.cli.help.completion import networks, plans, recipes, runs
from compound.cli.help.examples import EXAMPLES


def commands(group, before=""):
    """Every command by its full name."""
    for name, command in group.commands.items():
        if getattr(command, "commands", None):
            yield from commands(command, f"{name} ")
        else:
            yield before + name, command


@pytest.fixture(scope="module")
def whole():
    return get_command(application(full=True))


def test_every_verb_has_two_examples_that_the_command_reads(whole):
    known = dict(commands(whole))
    assert set(EXAMPLES) == set(known)
    for name, examples in EXAMPLES.items():
        assert len(examples) == 2
        for example in examples:
            words = shlex.split(example)
            assert words[0] == "compound"
            given = words[3:] if words[1:3] == name.split() else words[2:]
            assert words[1] == name.split()[0]
            known[name].make_context(name, given)  # raises where an option or argument is not the verb's


def test_help_has_the_groups_and_every_verb_once(cli: Cli):
    code, out, _ = cli("--help")
    assert code == 0
    places = [out.index(f" {group} ─") for group in GROUPS]
    assert places == sorted(places)
    assert len(VERBS) == len(set(VERBS))


@pytest.mark.parametrize("verb", PANELLED)
def test_help_of_a_training_is_two_screens_and_all_of_it_is_asked_for(cli: Cli, monkeypatch, verb):
    monkeypatch.setenv("COLUMNS", "80")
    code, short, _ = cli(verb, "--help")
    assert code == 0
    assert short.count("\n") <= 80  # two screens of 40 lines
    assert "--depth-decay" not in short
    assert f"compound {verb} --help --all" in short
    _, full, _ = cli(verb, "--help", "--all")
    assert "--depth-decay" in full
    assert "--memory" not in full.replace("--training-memory", "") or verb == "fit"  # an old name stays hidden


def test_options_of_the_panels_exist(whole):
    named = {parameter.name for verb in PANELLED for parameter in whole.commands[verb].params}
    assert {name for names in PANELS.values() for name in names} <= named


def test_examples_stand_in_help(cli: Cli):
    for verb in ("scale", "search coefficients"):
        _, out, _ = cli(*verb.split(), "--help")
        assert all(example in out for example in EXAMPLES[verb])


def test_names_of_other_libraries(cli: Cli, whole):
    options = {option for parameter in whole.commands["train"].params for option in parameter.opts}
    assert {"--lr", "--batch-size", "--imgsz", "--weight-decay"} <= options
    code, out, _ = cli("val", "--help")
    assert (code, "compound evaluate" in out) == (0, True)


def test_version(cli: Cli):
    assert cli("--version") == (0, f"compound {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("train", "fashion6k", "efficientnet-mini"), "compound train efficientnet-mini fashion6k"),
        (("probe", "photos", "resnet18"), "compound probe resnet18 photos"),
        (("evaluate", "photos", "model.safetensors"), "compound evaluate model.safetensors photos"),
        (("fit", "efficientnet-b0"), "compound fit DATA --baseline efficientnet-b0"),
        (("predict", "photo.jpg", "model.safetensors"), "compound predict model.safetensors photo.jpg"),
    ],
)
def test_swapped_arguments_are_recognised(cli: Cli, words, remedy):
    code, message = cli.error(*words)
    assert code == 2
    assert remedy in message


def test_a_shell_completes_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "network.yaml").touch()
    (tmp_path / "my-net.yaml").touch()
    assert "efficientnet-b0" in networks("efficientnet-")
    assert networks("my") == ["my-net.yaml"]
    assert runs("ru") == networks("runs") == ["runs/mine"]
    assert recipes("tr") == ["transfer"]
    assert plans("s") == ["single"]


@pytest.mark.long
def test_completion_and_help_import_no_torch():
    program = (
        "import sys; from compound.cli import run; sys.argv = ['compound']\n"
        "code = run(sys.argv_given)\nassert code == 0\nassert 'torch' not in sys.modules\n"
    )
    for words in (["--help"], ["fit", "--help"], ["--version"]):
        text = program.replace("sys.argv_given", repr(words))
        subprocess.run([sys.executable, "-c", text], check=True, stdout=subprocess.DEVNULL)
