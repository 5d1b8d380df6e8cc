"""Every numeric option of every verb, found by asking the command itself, with values that no option means."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from PIL import Image

from compound.cli import application, run
from compound.nn import build, save_weights
from compound.verbs.given import find_network

TEXTS = {"--macs", "--params", "--activations", "--memory", "--training-memory", "--latency", "--batch", "--rate", "--batch-size", "--lr",
         "--save-every", "--resolutions", "--wait", "--max-body", "--max-pixels", "--max-decoding", "--receive",
         "--reload", "--target-cost"}  # fmt: skip
ABSURD = ("nan", "inf", "1e99", "1" + 30 * "0", "-1", "0")
# What some options may well be: no limit is too large, and a seed is any whole number of few digits.
AMPLE = {"--macs", "--params", "--activations", "--memory", "--training-memory", "--max-body", "--max-pixels",
         "--max-decoding"}  # fmt: skip
RIGHT = {
    "1e99": AMPLE,
    "1" + 30 * "0": AMPLE,
    "-1": {"--seed", "--phi", "--cost-exponent", "--exponent-below"},
    "0": {"--seed", "--phi", "--cost-exponent", "--exponent-below", "--workers", "--holdout", "--damaged-limit", "--unfreeze", "--finalists",
          "--weight-decay", "--least", "--threshold", "--max-drop", "--port"},
}  # fmt: skip
SHORTER = {"--batch-size": "--batch"}  # other names of an option
WORDS = {  # what a verb needs besides
    "show": "efficientnet-b0",
    "scale": "efficientnet-b0",
    "plan": "efficientnet-b0",
    "train": "efficientnet-mini fashion6k -o r",
    "shrink": "r",
    "probe": "MODEL fashion6k",
    "evaluate": "MODEL fashion6k",
    "compare": "MODEL MODEL fashion6k",
    "predict": "MODEL IMAGE",
    "fit": "fashion6k -o r",
    "export": "MODEL --to onnx -o e",
    "serve": "MODEL",
    "figure": "2",
    "study": "efficientnet-mini fashion6k -o s",
    "forecast": "s",
    "measure networks": "efficientnet-mini",
    "measure device": "-o d.json",
    "measure kit": "-o kit",
    "data check": "fashion6k",
    "data cache": "fashion6k -o c",
    "data audit": "folds.npz -o a",
    "data make": "letters fonts -o l",
    "doctor": "efficientnet-mini",
    "drift": "log.jsonl r",
    "search coefficients": "efficientnet-mini fashion6k -o q",
    "search architecture": "fashion6k --macs 10M -o q",
    "search validate": "q",
    "search transfer": "efficientnet-mini fashion6k --weights MODEL -o q",
}


def verbs(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, list[Any]]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path), [one for one in command.params if one.param_type_name == "option" and not one.is_flag]
    for name, one in (inner or {}).items():
        yield from verbs(one, (*path, name))


def numeric(option: Any) -> bool:
    return option.type.name.split()[0] in ("int", "integer", "float") or option.opts[-1] in TEXTS


OPTIONS = {name: [one.opts[-1] for one in options if numeric(one)] for name, options in verbs(
    typer.main.get_command(application()))}  # fmt: skip


def test_every_verb_with_numbers_is_tried() -> None:
    assert {name for name, options in OPTIONS.items() if options} == set(WORDS)
    assert sum(map(len, OPTIONS.values())) > 150


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("given")
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    network = find_network("efficientnet-mini").with_(classes=3)
    model = save_weights(build(network, seed=0), folder / "model.safetensors", ("a", "b", "c"))
    return {"MODEL": str(model), "IMAGE": str(folder / "a.png")}


@pytest.mark.long
@pytest.mark.parametrize("verb", sorted(WORDS))
def test_absurd_numbers_are_refused_in_one_sentence(verb: str, given: dict[str, str], tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = [*verb.split(), *(given.get(word, word) for word in WORDS[verb].split())]
    for option in OPTIONS[verb]:
        for value in ABSURD:
            if option in RIGHT.get(value, ()):
                continue
            said = io.StringIO()
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                code = run([*words, f"{option}={value}"])
            asked = f"{verb} {option} {value}: {code} {said.getvalue()}"
            assert code == 2, asked
            name = SHORTER.get(option, option).removeprefix("--")
            named = {name, name.replace("-", " "), name.replace("-", "_"), f"{float(value):g}"}
            # A forecast looks at its study first, and a factor is named by what it makes.
            assert verb in ("forecast", "scale") or any(one in said.getvalue() for one in named), asked
            assert not [word for word in ("Traceback", "--debug") if word in said.getvalue()], asked
            assert not list(tmp_path.iterdir()), asked
