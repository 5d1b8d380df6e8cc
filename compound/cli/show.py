"""`compound show`: a network's rows, and where its cost lies."""

from typing import Annotated

import typer

from compound.cli.answers import Json, answer, doubt
from compound.cli.options.networks import Channels, Classes, CountedName
from compound.cost import CONVENTION, Cost, cost, cost_fields, operator_costs, row_cost, stage_costs, training_text
from compound.network import Network
from compound.notation import dump_network
from compound.terminal import printable
from compound.verbs.given import find_described, find_network


def show(
    network: CountedName,
    by: Annotated[str, typer.Option(help="Cost by stage, block or operator.")] = "stage",
    yaml: Annotated[bool, typer.Option("--yaml", help="Print the network file and nothing else.")] = False,
    classes: Classes = None,
    channels: Channels = None,
    json: Json = False,
) -> None:
    """Show a network as the paper's Table 1 does, with its cost by stage, block or operator."""
    found = find_network(find_described(network), classes, channels)
    if yaml and not json:
        print(printable(dump_network(found)), end="")
        return
    if by not in LINES:
        raise typer.BadParameter(f"{by!r}; use stage, block or operator", param_hint="--by")
    total = cost(found)
    doubt(found)
    lines = LINES[by](found)
    value = cost_fields(found, total) | {
        "classes": found.classes,
        "channels": found.channels,
        "training_memory_batch_32": total.training_memory(32),
        by + "s": [{"name": name, **figures(one)} for name, one in lines],
        "network": dump_network(found),
    }
    width = max(24, *(len(name) for name, _ in lines))
    table = [f"{'':<{width}} {'params':>12} {'MACs':>16} {'activations':>12}"]
    table += [
        f"{name:<{width}} {one.params:>12,} {one.macs:>16,} {one.activations:>12,}"
        for name, one in (*lines, ("total", total))
    ]
    training = f"{total.training_memory(32) / 1e9:.2f} GB to train with 32"
    memory = f"memory: {total.memory() / 1e6:.0f} MB for one image, {training}"
    trained = [said] if (said := training_text(total)) else []
    answer(json, value, "\n".join([found.table(), "", CONVENTION, *table, *trained, memory]))


def figures(one: Cost) -> dict[str, int]:
    return {"params": one.params, "macs": one.macs, "activations": one.activations}


def by_stage(network: Network) -> list[tuple[str, Cost]]:
    return list(stage_costs(network).items())


def by_block(network: Network) -> list[tuple[str, Cost]]:
    return [(f"{row.label} block {row.repeat}", row_cost(row)) for row in network.blocks()]


def by_operator(network: Network) -> list[tuple[str, Cost]]:
    lines = []
    for row in network.blocks():
        for path, _, (c, h, w), one in operator_costs(row):
            lines.append((f"{row.label} block {row.repeat} {path} -> {c}×{h}×{w}", one))
    return lines


LINES = {"stage": by_stage, "block": by_block, "operator": by_operator}
