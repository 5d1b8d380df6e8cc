"""A space of networks as data: a network file whose values may be choices.

    name: my-space
    resolution: 28
    stem: {block: conv, kernel: 3, channels: {choices: [16, 32]}, stride: 2}
    stages:
    - {block: mbconv, kernel: {choices: [3, 5]}, layers: {choices: [0, 1, 2]}, channels: 32}
    - {choices: [{block: mbconv, expand: 4}, {block: conv}], kernel: 3, layers: 2, channels: 48, stride: 2}

`{choices: […]}` stands for one of its options, wherever a value may stand; options that are fields themselves join
those beside `choices`. Choices that are given the same name by `as` are one choice. `repeat: 3` writes a row three
times, each with choices of its own. A row of 0 layers is left out. `joined: unread` of a cell joins the states that no
node reads (Zoph et al. 2018).
"""

import hashlib
import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compound.errors import NetworkError, UsageError
from compound.mapping import nearest
from compound.network import Network
from compound.notation import network_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

FOLDER = Path(__file__).parent / "spaces"
TRIES = 100  # random networks an option gets to be valid in, when a space is read


class SpaceError(UsageError):
    """A space that cannot be searched; the message names file, field and value."""


@dataclass(frozen=True)
class Choice:
    """A name and its options. `gate` is the choice of layers that may leave out the row this one stands in."""

    name: str
    options: tuple[Any, ...]
    gate: str | None = None

    @property
    def labels(self) -> tuple[Any, ...]:
        """The options as the single values that a parameter can have: `mbconv, expand 4` for fields."""
        return tuple(label(option) for option in self.options)

    def option(self, wanted: Any) -> Any:
        """The option of that label."""
        return self.options[self.labels.index(wanted)]


def label(option: Any) -> Any:
    """What a parameter shows for an option."""
    if isinstance(option, Mapping):
        words = [str(value) if name == "block" else f"{name} {value}" for name, value in option.items()]
        return ", ".join(words) or "nothing"
    return json.dumps(option) if isinstance(option, list) else option


@dataclass(frozen=True)
class Space:
    """All networks of a space file: `source` as it was written, `template` with a `Choice` where it leaves one."""

    name: str
    choices: tuple[Choice, ...]
    template: Mapping[str, Any] = field(repr=False)
    source: Mapping[str, Any] = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with any choice or field."""
        return hashlib.sha256(json.dumps(self.source, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def size(self) -> int:
        """How many networks there are, before those that are not valid are taken out."""
        gates = {choice.gate for choice in self.choices if choice.gate}
        total = math.prod(len(c.options) for c in self.choices if c.gate is None and c.name not in gates)
        for gate in gates:
            layers = next(c.options for c in self.choices if c.name == gate)
            inside = math.prod(len(c.options) for c in self.choices if c.gate == gate)
            total *= layers.count(0) + (len(layers) - layers.count(0)) * inside
        return total

    def distributions(self) -> dict[str, "BaseDistribution"]:
        """The space as Optuna knows one: a categorical distribution a choice, in the order of the file."""
        from optuna.distributions import CategoricalDistribution

        return {choice.name: CategoricalDistribution(choice.labels) for choice in self.choices}

    def canonical(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters with the first option wherever a left-out row makes the choice without effect."""
        return {c.name: c.labels[0] if c.gate and parameters[c.gate] == 0 else parameters[c.name] for c in self.choices}

    def network(self, parameters: Mapping[str, Any]) -> Network:
        """The network of these parameters, named by the space and what was chosen.

        Raises `NetworkError`, which names stage, field and value, for a combination that is none.
        """
        chosen = self.canonical(parameters)
        plain = resolved(self.template, chosen)
        rows = []
        for number, row in enumerate(plain["stages"], 1):
            if row.get("layers") == 0:
                if row.get("stride", 1) != 1:
                    raise NetworkError(
                        f"{self.name}: stage {number} strides and cannot be left out; use layers 1 or more"
                    )
                continue
            if row.get("joined") == "unread":
                row["joined"] = unread(row["nodes"])
            rows.append(row)
        digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]
        return network_of(plain | {"stages": rows, "name": f"{self.name}-{digest}"}, self.name)

    def sample(self, rng: random.Random) -> dict[str, Any]:
        """Parameters drawn evenly; they need not be of a valid network."""
        return self.canonical({choice.name: rng.choice(choice.labels) for choice in self.choices})

    def networks(self, rng: random.Random) -> Iterator[tuple[dict[str, Any], Network]]:
        """Valid networks drawn evenly, with their parameters; without end, and not without repetition."""
        while True:
            parameters = self.sample(rng)
            try:
                yield parameters, self.network(parameters)
            except NetworkError:
                continue


def resolved(node: Any, chosen: Mapping[str, Any]) -> Any:
    """The template with every choice made."""
    if isinstance(node, Choice):
        return node.option(chosen[node.name])
    if isinstance(node, list):
        return [resolved(each, chosen) for each in node]
    if isinstance(node, Mapping):
        values = {name: resolved(value, chosen) for name, value in node.items()}
        joining: dict[str, Any] = values.pop("choices", {})
        return values | joining
    return node


def unread(nodes: list[Any]) -> list[int]:
    """The states of a cell that no node reads."""
    read = {state for states, _ in nodes for state in states}
    return [state for state in range(2, len(nodes) + 2) if state not in read]


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
    import yaml

    try:
        given = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SpaceError(f"cannot read space file {path}: {error.strerror}; check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SpaceError(f"{path}: not valid YAML: {str(error).splitlines()[0]}") from None
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
