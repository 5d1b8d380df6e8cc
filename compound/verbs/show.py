"""`compound.show` and `compound.list_networks`: what there is to scale, and where a network's cost lies."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from compound.cost import (
    CONVENTION,
    Cost,
    cost,
    cost_fields,
    memory_to_give,
    operator_costs,
    row_cost,
    stage_costs,
    training_text,
)
from compound.errors import UsageError
from compound.network import Network
from compound.notation import dump_network
from compound.verbs.given import Place, network_to_count
from compound.zoo import ZOO, plain

USUAL_BATCH = 32  # images that the memory of training is said for


@dataclass(frozen=True)
class Shown:
    """A network, its whole cost, and the cost of each of its stages, blocks or operators by label, in their order."""

    network: Network
    total: Cost
    by: str
    parts: tuple[tuple[str, Cost], ...]

    def to_json(self) -> dict[str, Any]:
        return cost_fields(self.network, self.total) | {
            "classes": self.network.classes,
            "channels": self.network.channels,
            f"training_memory_batch_{USUAL_BATCH}": self.total.training_memory(USUAL_BATCH),
            self.by + "s": [
                {"name": name, "params": one.params, "macs": one.macs, "activations": one.activations}
                for name, one in self.parts
            ],
            "network": dump_network(self.network),
        }


def show(network: Network | Place, by: str = "stage") -> Shown:
    """A network as the paper's Table 1 has it, with its cost (parameters, multiply-adds, activations) by part.

    Args:
        network: a network, or what names one: the zoo, a network or weights file, a run, published weights.
        by: stage, block or operator.

    Raises `UsageError` for another `by` or an unknown name.
    """
    if by not in PARTS:
        raise UsageError(f"--by {by!r} is unknown; use stage, block or operator")
    found = network_to_count(network)
    return Shown(found, cost(found), by, tuple(PARTS[by](found)))


def show_text(shown: Shown) -> str:
    total = shown.total
    width = max(24, *(len(name) for name, _ in shown.parts))
    table = [f"{'':<{width}} {'params':>12} {'MACs':>16} {'activations':>12}"]
    table += [
        f"{name:<{width}} {one.params:>12,} {one.macs:>16,} {one.activations:>12,}"
        for name, one in (*shown.parts, ("total", total))
    ]
    step = total.training_memory(USUAL_BATCH)
    given = math.ceil(memory_to_give(step) / 1e7) / 100
    training = f"{step / 1e9:.2f} GB to train with {USUAL_BATCH} (within --training-memory {given:.2f}G)"
    memory = f"memory: {total.memory() / 1e6:.0f} MB for one image, {training}"
    trained = [said] if (said := training_text(total)) else []
    return "\n".join([shown.network.table(), "", CONVENTION, *table, *trained, memory])


def _stages(network: Network) -> list[tuple[str, Cost]]:
    return list(stage_costs(network).items())


def _blocks(network: Network) -> list[tuple[str, Cost]]:
    return [(f"{row.label} block {row.repeat}", row_cost(row)) for row in network.blocks()]


def _operators(network: Network) -> list[tuple[str, Cost]]:
    lines = []
    for row in network.blocks():
        for path, _, (c, h, w), one in operator_costs(row):
            lines.append((f"{row.label} block {row.repeat} {path} -> {c}×{h}×{w}", one))
    return lines


PARTS: Mapping[str, Callable[[Network], list[tuple[str, Cost]]]] = {
    "stage": _stages,
    "block": _blocks,
    "operator": _operators,
}


def list_networks(like: str = "") -> dict[str, Cost]:
    """The zoo's networks whose name contains `like`, each with its counted cost; all where nothing is asked for.

    Case, hyphens and underscores make no difference. Raises `UsageError` where there is none.
    """
    found = {name: cost(network) for name, network in ZOO.items() if plain(like) in plain(name)}
    if not found:
        raise UsageError(f"no network's name contains {like!r}; `compound zoo` lists all")
    return found
