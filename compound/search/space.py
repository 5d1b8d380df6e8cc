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
node reads (Zoph et al. 2018), `joined: [unread, 1]` state 1 too.
"""

import hashlib
import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from compound.errors import NetworkError
from compound.network import Labelled, Network
from compound.notation import network_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


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
            if "unread" in (joined := row.get("joined", ())):
                row["joined"] = with_unread(joined, row["nodes"])
            rows.append(row)
        digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]
        return network_of(plain | {"stages": rows, "name": f"{self.name}-{digest}"}, self.name)

    def with_(self, **fields: Any) -> "Space":
        """The same space with these fields in every network; by its fingerprint it stays what it is."""
        return replace(self, template={**self.template, **fields})

    def for_data(self, data: Labelled) -> "Space":
        """The same space of networks for the classes and the image channels of `data`."""
        return self.with_(classes=len(data.classes), channels=data.channels)

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


def with_unread(joined: str | list[Any], nodes: list[Any]) -> list[int]:
    """The states of a cell that no node reads, and those that a list names beside them."""
    read = {state for states, _ in nodes for state in states}
    named = {state for state in joined if isinstance(state, int)} if isinstance(joined, list) else set()
    return sorted(named | {*range(2, len(nodes) + 2)} - read)
