"""The zoo by kinds: what holds for one network of the same blocks and the same head holds for those of other numbers."""

from collections.abc import Iterable

import pytest

from compound import ZOO


def kind(name: str) -> tuple[object, ...]:
    network = ZOO[name]
    head = network.head
    blocks = frozenset(type(stage.block).__name__ for stage in network.stages)
    return blocks, bool(head.channels), bool(head.hidden), head.classify_maps


def size(name: str) -> int:
    return sum(stage.layers * stage.channels for stage in ZOO[name].stages)


def slow_but(ordinary: Iterable[str], names: Iterable[str]) -> list[object]:
    """Names as parameters of a test, all slow but a few."""
    few = set(ordinary)
    return [name if name in few else pytest.param(name, marks=pytest.mark.slow) for name in names]


def one_of_each(names: Iterable[str]) -> list[object]:
    """Names as parameters of a test: the narrowest and shallowest network of each kind; all others are slow."""
    names = list(names)
    cheapest: dict[object, str] = {}
    for name in sorted(names, key=size):
        cheapest.setdefault(kind(name), name)
    return slow_but(cheapest.values(), names)
