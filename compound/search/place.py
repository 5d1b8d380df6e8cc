"""Where a network lies in a space: the inverse of `Space.network`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from compound.errors import NetworkError
from compound.network import Network
from compound.notation import row_mapping
from compound.search.space import Choice, Space, with_unread

Chosen = dict[str, Any]


def place_in(space: Space, network: Network) -> Chosen | None:
    """The parameters of the space's network with the stem, the rows and the head of `network`; None where it has none.

    What rows do not say, such as resolution, style, dropout and survival, is the space's and not compared.
    """
    rows = [row_mapping(stage) for stage in network.stages]
    stem = space.template.get("stem", {})
    for found in _same(stem, row_mapping(network.stem), {}):
        for chosen in _rows(list(space.template["stages"]), rows, found):
            parameters = space.canonical({c.name: chosen.get(c.name, c.labels[0]) for c in space.choices})
            if _equal(space, parameters, network):
                return parameters
    return None


def _equal(space: Space, parameters: Chosen, network: Network) -> bool:
    def shape(of: Network) -> tuple[Any, ...]:
        return of.head, *(replace(stage, fixed=()) for stage in (of.stem, *of.stages))

    try:
        return shape(space.network(parameters)) == shape(network)
    except NetworkError:
        return False


def _rows(template: list[Any], rows: Sequence[Mapping[str, Any]], chosen: Chosen) -> Iterator[Chosen]:
    """All ways to choose so that the rows come out; a row that may have no layers may be left out."""
    if not template:
        if not rows:
            yield chosen
        return
    first, *others = template
    layers = first.get("layers")
    if rows:
        for found in _same(first, rows[0], chosen):
            yield from _rows(others, rows[1:], found)
    if isinstance(layers, Choice) and 0 in layers.options:
        for found in _chosen(layers, 0, chosen):
            yield from _rows(others, rows, found)


def _same(node: Any, value: Any, chosen: Chosen) -> Iterator[Chosen]:
    """All ways to choose so that `node` becomes `value`; of fields that it does not name, nothing is asked."""
    if isinstance(node, Choice):
        for option, label in zip(node.options, node.labels, strict=True):
            if option == value:
                yield from _chosen(node, label, chosen)
    elif isinstance(node, Mapping):
        yield from _fields(node, value, chosen)
    elif isinstance(node, list):
        if isinstance(value, list) and len(value) == len(node):
            yield from _all(list(zip(node, value, strict=True)), chosen)
    elif node == value:
        yield chosen


def _fields(node: Mapping[str, Any], value: Any, chosen: Chosen) -> Iterator[Chosen]:
    if not isinstance(value, Mapping):
        return
    choice = node.get("choices")
    rest = {name: inner for name, inner in node.items() if name != "choices"}
    if isinstance(choice, Choice):
        for option, label in zip(choice.options, choice.labels, strict=True):
            for found in _chosen(choice, label, chosen):
                yield from _fields({**rest, **option}, value, found)
        return
    joined = rest.get("joined")
    if isinstance(joined, list) and "unread" in joined:
        chosen = chosen | _joined(rest.pop("joined"), value)
    if all(name in value for name in rest):
        yield from _all([(inner, value[name]) for name, inner in rest.items()], chosen)


def _joined(template: list[Any], cell: Mapping[str, Any]) -> Chosen:
    """Which states are joined besides those that no node reads."""
    others = set(cell["joined"]) - set(with_unread("unread", cell["nodes"]))
    return {
        choice.name: next((option for option in choice.options if option in others), None)
        for choice in template
        if isinstance(choice, Choice)
    }


def _all(pairs: list[tuple[Any, Any]], chosen: Chosen) -> Iterator[Chosen]:
    if not pairs:
        yield chosen
        return
    (node, value), *others = pairs
    for found in _same(node, value, chosen):
        yield from _all(others, found)


def _chosen(choice: Choice, label: Any, chosen: Chosen) -> Iterator[Chosen]:
    """With one more choice made, unless it was made otherwise."""
    if choice.name not in chosen or chosen[choice.name] == label:
        yield chosen | {choice.name: label}
