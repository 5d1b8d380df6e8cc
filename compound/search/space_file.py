"""Reading a space: a file's lists of options become choices, and every option is tried once."""

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from compound.documents import read_yaml
from compound.errors import NetworkError, UsageError
from compound.mapping import nearest
from compound.search.space import Choice, Space

FOLDER = Path(__file__).parent / "spaces"
TRIES = 100  # random networks an option gets to be valid in, when a space is read


class SpaceError(UsageError):
    """A space that cannot be searched; the message names file, field and value."""


def find_space(name: str) -> Space:
    """A space of the package by name, or one of the user's own from a YAML file."""
    known = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    if name in known:
        return load_space(FOLDER / f"{name}.yaml")
    if name.endswith((".yaml", ".yml")):
        return load_space(name)
    raise SpaceError(f"there is no space {name!r}; {nearest(name, known, 'spaces')}, or give a YAML file")


def load_space(path: str | Path) -> Space:
    """Read a space file and try every option once; errors name the file."""
    given = read_yaml(path, "check the path", "space file", SpaceError)
    if not isinstance(given, Mapping):
        raise SpaceError(f"{path}: not a space; write a network whose values may be {{choices: […]}}")
    return parse_space({"name": Path(path).stem} | dict(given), str(path))


def parse_space(given: Mapping[str, Any], where: str = "space") -> Space:
    """A space from the plain values that YAML holds."""
    found: dict[str, Choice] = {}
    source, rows = given, given.get("stages")
    if isinstance(rows, list):
        given = {**given, "stages": [row for each in rows for row in repeated(each, where)]}
    template = {
        name: [row_template(row, f"stage{i}", found, where) for i, row in enumerate(value, 1)]
        if name == "stages" and isinstance(value, list)
        else with_choices(value, name, found, where)
        for name, value in given.items()
    }
    if not found:
        raise SpaceError(f"{where}: nothing to search: no field has choices; write e.g. kernel: {{choices: [3, 5]}}")
    space = Space(str(given.get("name", "space")), tuple(found.values()), template, source)
    check(space, where)
    return space


def repeated(row: Any, where: str) -> list[Any]:
    if not isinstance(row, Mapping) or "repeat" not in row:
        return [row]
    count = row["repeat"]
    if not isinstance(count, int) or count < 1:
        raise SpaceError(f"{where}: repeat {count!r} is not a number of rows; use 2 or more")
    return [{name: value for name, value in row.items() if name != "repeat"}] * count


def row_template(row: Any, place: str, found: dict[str, Choice], where: str) -> Any:
    """A row with its choices, which lose their effect where the row is left out."""
    before = set(found)
    template = with_choices(row, place, found, where)
    layers = template.get("layers") if isinstance(template, Mapping) else None
    if isinstance(layers, Choice) and 0 in layers.options:
        own = {name for name in found if name not in before and name.startswith(place)} - {layers.name}
        found.update({name: replace(found[name], gate=layers.name) for name in own})
    return template


def with_choices(node: Any, place: str, found: dict[str, Choice], where: str) -> Any:
    """The plain values with a `Choice` for every list of options; the choices are added to `found`."""
    if isinstance(node, list):
        return [with_choices(each, f"{place}.{i}", found, where) for i, each in enumerate(node)]
    if not isinstance(node, Mapping):
        return node
    if "choices" not in node:
        return {name: with_choices(value, f"{place}.{name}", found, where) for name, value in node.items()}
    choice = read_choice(node, place, where)
    known = found.setdefault(choice.name, choice)
    if known.options != choice.options:
        raise SpaceError(f"{where}: {place}: the choice {choice.name!r} has other options elsewhere; make them equal")
    rest = {name: value for name, value in node.items() if name not in ("choices", "as")}
    if not rest and not isinstance(choice.options[0], Mapping):
        return choice
    return {"choices": choice, **with_choices(rest, place, found, where)}


def read_choice(node: Mapping[str, Any], place: str, where: str) -> Choice:
    options = node["choices"]
    if not isinstance(options, list) or not options:
        raise SpaceError(f"{where}: {place}: choices {options!r} leaves nothing to choose; list at least one option")
    if "choices" in str(options):
        raise SpaceError(f"{where}: {place}: choices stand within choices; list the combinations as options instead")
    choice = Choice(str(node.get("as", place)), tuple(options))
    if len(set(choice.labels)) < len(options):
        raise SpaceError(f"{where}: {place}: an option of {options!r} stands there twice; list each once")
    fields = [isinstance(option, Mapping) for option in options]
    if any(fields) != all(fields) or (set(node) - {"choices", "as"} and not all(fields)):
        raise SpaceError(f"{where}: {place}: options beside other fields must be fields; write {{field: value, …}}")
    return choice


def check(space: Space, where: str) -> None:
    """Raise `SpaceError` for an option that is in no valid network."""
    rng = random.Random(0)
    gates = {choice.gate for choice in space.choices}
    base = {c.name: next(x for x in c.labels if x != 0 or c.name not in gates) for c in space.choices}

    def fault(parameters: dict[str, Any]) -> NetworkError | None:
        try:
            space.network(parameters).blocks()
        except NetworkError as error:
            return error
        return None

    for choice in space.choices:
        kept = {choice.gate: base[choice.gate]} if choice.gate else {}
        for option in choice.labels:
            error = first = fault(base | {choice.name: option})
            for _ in range(TRIES if error and "there is no" not in str(error) else 0):
                error = fault(space.sample(rng) | kept | {choice.name: option})
                if error is None:
                    break
            if error:
                said = str(first).removeprefix(f"{space.name}: ")
                raise SpaceError(f"{where}: {choice.name} {option!r} is in no valid network: {said}")
