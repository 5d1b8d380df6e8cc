"""How large a function may be: it fits a screen, and takes what a reader can keep in mind (decision 038)."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

import compound

ROOM = Path(compound.__file__).parent
LINES, PARAMETERS, OPTIONS = 60, 7, 10
NUMBERS = ("int", "Classes", "Channels")

BOTH = {  # functions with the numbers of a network's classes and channels beside each other (decision 036)
    "cli/plan.py:plan", "cli/scale.py:scale", "cli/show.py:show", "verbs/given.py:find_network",
    "verbs/given.py:network_to_count", "verbs/warm.py:plan_weights", "verbs/warm.py:_best",
    "nn/whose.py:_by_parameters",
}  # fmt: skip
# What has more parameters, and why. Commands (`json` is one of their options) have an option each.
LARGER = {
    "cli/serve.py:serve": "a command without --json",
    "data/loader.py:make_loader": "an order of images is said in full, as torch's DataLoader takes it",
    "data/sampler.py:__init__": "the same order",
    "deploy/export.py:export": "what is written and what it is checked on are both said in full",
    "nn/reading/graph.py:conv": "torch's convolution",
    "nn/sources.py:forward": "autograd hands over its tensors one by one",
    "search/samplers/ppo.py:__init__": "the constants of PPO",
    "search/truth.py:validate": "two evaluations, and how they are compared",
    "verbs/predict.py:predict": "what is asked of images, and the files that are written of them",
    "serve/server.py:serve": "what a server is started with",
}

OPERATOR = ["nn/modules.py", "ops.py"]  # the module that computes an operator has the operator's name
REASONED = re.compile(r"# type: ignore\[[a-z, -]+\]  # \S.+$")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def functions() -> tuple[tuple[str, Function], ...]:
    return tuple(
        (f"{path.relative_to(ROOM)}:{node.name}", node)
        for path in sorted(ROOM.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, Function) and (ROOM / "kernels" / "gpu") not in path.parents  # Triton knows no values
    )


def every(function: Function) -> list[ast.arg]:
    given = function.args
    return [*given.posonlyargs, *given.args, *given.kwonlyargs]


def parameters(function: Function) -> list[str]:
    given = function.args
    names = [one.arg for one in every(function)]
    rest = [one.arg for one in (given.vararg, given.kwarg) if one]
    return [name for name in names + rest if name not in ("self", "cls")]


def lines(function: Function) -> int:
    """From its first decorator to its end."""
    return (function.end_lineno or 0) - min([function.lineno, *(one.lineno for one in function.decorator_list)]) + 1


@pytest.mark.long
def test_every_function_fits_a_screen():
    assert {place: lines(one) for place, one in functions() if lines(one) > LINES} == {}


def test_functions_take_few_parameters():
    found = set()
    for place, one in functions():
        names = parameters(one)
        command = place.startswith("cli/") and "json" in names
        most = OPTIONS if place.startswith("verbs/") else PARAMETERS
        if len(names) > most and not command:
            found.add(place)
    assert found == set(LARGER)


def test_a_networks_classes_and_channels_are_handed_on_with_the_network():
    """Names of classes are no numbers, and the data room knows channels of images and no network."""
    found = set()
    for place, one in functions():
        given = {each.arg: ast.unparse(each.annotation) for each in every(one) if each.annotation}
        numbers = [name for name in ("classes", "channels") if given.get(name, "").partition(" ")[0] in NUMBERS]
        if len(numbers) == 2:
            found.add(place)
    assert found == BOTH


def test_a_decision_names_all_that_take_more():
    (decision,) = ROOM.parent.glob("docs/decisions/038-*.md")
    told = decision.read_text(encoding="utf-8")
    of = {"data/sampler.py:__init__": "EpochSampler", "search/samplers/ppo.py:__init__": "PPO"}
    for place in LARGER:
        assert f"{of.get(place, place.partition(':')[2])}`" in told, place


def test_whatever_a_type_checker_is_told_to_overlook_has_its_reason():
    """`# type: ignore[code]  # why`, on one line."""
    found = [
        f"{path.relative_to(ROOM)}:{number}"
        for path in sorted(ROOM.rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if "# type: " + "ignore" in line and not REASONED.search(line)
    ]
    assert found == []


def test_a_name_of_a_class_means_one_thing():
    found: dict[str, list[str]] = {}
    for path in sorted(ROOM.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(str(path.relative_to(ROOM)))
    assert {name: places for name, places in found.items() if len(places) > 1 and sorted(places) != OPERATOR} == {}


@pytest.mark.parametrize(("source", "count"), [("def f(self, a, *b, c, **d): pass", 4), ("def f(a, /, b=1): pass", 2)])
def test_parameters_are_counted(source, count):
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef)
    assert len(parameters(function)) == count
