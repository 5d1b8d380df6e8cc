"""Few networks of a space that together have all it can be made of, at its largest."""

import random
from collections import Counter
from collections.abc import Iterator
from itertools import combinations, islice, product
from typing import Any

from compound.errors import NetworkError
from compound.latency import unit_kinds
from compound.network import Network
from compound.search.space import Choice, Space

POOL = 3  # networks looked at for each that is chosen, of those that cover a space and of any


def cover(space: Space, rng: random.Random) -> Iterator[Network]:
    """Networks that among them have every layer of the space at its largest.

    Numbers are at their most (channels) or at their least (the states that a cell's nodes read, where most are then
    joined). Every two options of a row or node meet, as what a block is made of may depend on two fields.
    """
    for extreme in (max, min):
        ends = {
            choice.name: extreme(choice.labels)
            for choice in space.choices
            if all(isinstance(label, int | float) and not isinstance(label, bool) for label in choice.labels)
        }
        for pinned in pairs(space) if extreme is max else singles(space):
            try:
                network = space.network(space.sample(rng) | ends | pinned)
                network.blocks()
            except NetworkError:
                continue
            yield network


def singles(space: Space) -> Iterator[dict[str, Any]]:
    """Each option of a field, in all rows at once."""
    for group in groups(space):
        for option in range(longest(group)):
            yield pinned_to(group, option)


def pairs(space: Space) -> Iterator[dict[str, Any]]:
    """Each two options of two fields, in all rows at once."""
    fields = groups(space)
    for one, two in combinations(fields, 2) if len(fields) > 1 else [(fields[0], fields[0])]:
        for first, second in product(range(longest(one)), range(longest(two))):
            yield pinned_to(one, first) | pinned_to(two, second)


def groups(space: Space) -> list[list[Choice]]:
    """The choices by field: `kernel` of all rows, `left` of all nodes, …"""
    found: dict[str, list[Choice]] = {}
    for choice in space.choices:
        found.setdefault(choice.name.partition(".")[2], []).append(choice)
    return list(found.values())


def longest(group: list[Choice]) -> int:
    return max(len(choice.labels) for choice in group)


def pinned_to(group: list[Choice], option: int) -> dict[str, Any]:
    return {choice.name: choice.labels[option % len(choice.labels)] for choice in group}


def spread(space: Space, count: int, rng: random.Random) -> list[Network]:
    """`count` networks of the space with as many of every kind of unit as can be: what a table of latencies is made of.

    Each next one is that of a pool whose kinds are the rarest so far.
    """
    drawn = (network for _, network in space.networks(rng))
    pool = [*islice(cover(space, rng), POOL * count), *islice((n for n in drawn if buildable(n)), POOL * count)]
    kinds = [unit_kinds(network) for network in pool]
    seen: Counter[str] = Counter()
    chosen: list[Network] = []
    while pool and len(chosen) < count:
        best = max(range(len(pool)), key=lambda i: sum(0.1 ** seen[kind] for kind in kinds[i]))
        seen.update(kinds.pop(best))
        chosen.append(pool.pop(best).with_(name=space.name))
    return chosen


def buildable(network: Network) -> bool:
    try:
        network.blocks()
    except NetworkError:
        return False
    return True
