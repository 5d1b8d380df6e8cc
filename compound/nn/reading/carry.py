"""The weights of a module that was read, in the network that it was read as."""

import torch
from torch import Tensor, nn

from compound.nn.build import ConvNet
from compound.nn.reading.graph import Node, TraceGraph
from compound.nn.reading.values import Capture, Weight
from compound.nn.reading.written import written


@torch.no_grad()
def copy_weights(built: ConvNet, found: Capture, model: nn.Module) -> None:
    """The weights of `model` into the operators that stand in the same place."""
    graph = found.graph
    theirs = dict(model.named_parameters(remove_duplicate=False)) | dict(model.named_buffers(remove_duplicate=False))
    ours = dict(built.named_parameters()) | dict(built.named_buffers())
    start = 0
    *blocks, head = built.network.with_(resolution=graph.shapes[0][1]).blocks()
    for row in (*blocks, head):
        own, prefix = written(row.trace), f"stage{row.stage}.block{row.repeat}." if row.stage else "stem."
        prefix = "" if row is head else prefix
        for one, other in pairs(own, graph, start):
            for (_, path), (_, given) in zip(one.weights, other.weights, strict=False):
                tensor = ours[f"{prefix}{path.lstrip('.')}"]
                tensor.copy_(made(theirs[given], found.made.get(given)).reshape(tensor.shape))
        start += len(own.nodes)


def made(tensor: Tensor, by: Weight | None) -> Tensor:
    """The tensor that a module makes of one of its own."""
    if by is None:
        return tensor
    if by.eps is not None:
        variance, mean = torch.var_mean(tensor, (1, 2, 3), correction=0, keepdim=True)
        tensor = (tensor - mean) * torch.rsqrt(variance + by.eps)
    return tensor * by.factor


def pairs(own: TraceGraph, graph: TraceGraph, start: int) -> list[tuple[Node, Node]]:
    """The nodes of a written block and, in the same place, those of the graph behind `start`."""
    end = start + len(own.nodes)
    mine, given = own.keys(0, len(own.nodes)), graph.keys(start, end)
    waiting, seen = [(own.output, end)], {0}
    found = []
    while waiting:
        value, other = waiting.pop()
        if value in seen:
            continue
        seen.add(value)
        one, two = own.nodes[value - 1], graph.nodes[other - 1]
        found.append((one, two))
        inputs = two.inputs
        if [mine[i] for i in one.inputs] != [given[i] for i in inputs]:  # a sum, written the other way round
            inputs = inputs[::-1]
        waiting += zip(one.inputs, inputs, strict=True)
    return found
